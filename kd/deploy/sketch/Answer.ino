// Answers a sample whose answer is known, once a second: ${title}.
#include <WunderkindStudent.h>

static const ${input_type} sample[WUNDERKIND_INPUT] = {
${sample}
};

void setup() {
  Serial.begin(115200);
}

void loop() {
  static ${output_type} logits[WUNDERKIND_CLASSES];
  unsigned long begun = micros();
  int answer = wunderkind_predict(sample, logits);
  unsigned long took = micros() - begun;
  Serial.print("answer ");
  Serial.print(answer);
  Serial.print(", known answer ${answer}, ");
  Serial.print(took);
  Serial.println(" microseconds");
  delay(1000);
}
