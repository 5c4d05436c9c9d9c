"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const program = Integers.decoded(data.program), element = (id) => document.getElementById(id);
  const vectors = data.vectors.map((vector) => ({ ...vector, sample: sampleOf(vector.sample) }));

  function sampleOf(array) {
    if (array.type === "uint8") return Integers.bytes(array.base64);
    return new Float32Array(Integers.bytes(array.base64).buffer);
  }

  /* The answer to a sample, in words and bars. */
  function show(sample) {
    const begun = performance.now(), found = Integers.answer(program, sample), took = performance.now() - begun;
    const values = found.logits.map((logit) => program.logits.scale * (logit - program.logits.zero));
    const most = Math.max(...values), weights = values.map((value) => Math.exp(value - most));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    element("answer").textContent = data.names[found.answer];
    element("took").textContent = `${took.toFixed(took < 10 ? 1 : 0)} ms here, in the integers that the device computes`;
    element("bars").replaceChildren(...weights.map((weight, index) => bar(index, weight / total, index === found.answer)));
    return found;
  }

  function bar(index, share, best) {
    const line = document.createElement("div");
    line.className = best ? "bar best" : "bar";
    for (const name of ["name", "track", "share"]) {
      line.append(document.createElement("span"));
      line.lastChild.className = name;
    }
    const [name, track, number] = line.children, fill = document.createElement("div");
    name.textContent = data.names[index];
    number.textContent = `${(100 * share).toFixed(1)} %`;
    fill.className = "fill";
    fill.style.width = `${100 * share}%`;
    track.append(fill);
    return line;
  }

  function selfTest() {
    const equal = vectors.filter((vector) => {
      const found = Integers.answer(program, vector.sample);
      return found.answer === vector.answer && found.logits.every((logit, index) => logit === vector.logits[index]);
    }).length;
    const line = element("selftest"), whole = equal === vectors.length;
    line.textContent = whole
      ? `This page was checked: its logits equal the reference's, to the bit, for all of ${vectors.length} samples.`
      : `This page is wrong: its logits equal the reference's for only ${equal} of ${vectors.length} samples.`;
    line.classList.toggle("wrong", !whole);
    document.body.dataset.selftest = `${equal} of ${vectors.length}`;
  }

  function offer(sample, face) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(face);
    button.addEventListener("click", () => load(sample));
    element("samples").append(button);
    return button;
  }

  const load = data.shape.length === 2 ? withSequences() : withPictures();
  if (vectors.length) load(vectors[0].sample);
  selfTest();

  /* Sequences: a field of numbers. */
  function withSequences() {
    const [steps, features] = data.shape, field = element("numbers");
    const answer = () => {
      const numbers = field.value.trim().split(/[\s,;]+/).filter(Boolean).map(Number);
      if (numbers.length !== steps * features || numbers.some(Number.isNaN)) {
        element("answer").textContent = "–";
        element("took").textContent = `${numbers.length} numbers, ${steps * features} are needed`;
        element("bars").replaceChildren();
        return;
      }
      show(Float32Array.from(numbers));
    };
    field.addEventListener("input", answer);
    vectors.slice(0, 8).forEach((vector, index) => {
      offer(vector.sample, document.createTextNode(`sample ${index + 1}`)).className = "text";
    });
    return (sample) => {
      const lines = Array.from({ length: steps }, (_, step) =>
        Array.from(sample.subarray(step * features, (step + 1) * features), (one) => +one.toPrecision(7)).join(" "));
      field.value = lines.join("\n");
      show(sample);
    };
  }

  /* Pictures: a canvas, white on black where there is one channel. */
  function withPictures() {
    const [channels, height, width] = data.shape, canvas = element("canvas");
    const paper = canvas.getContext("2d", { willReadFrequently: true });
    const clear = () => {
      paper.fillStyle = "black";
      paper.fillRect(0, 0, canvas.width, canvas.height);
    };
    clear();
    if (element("clear")) withPen(clear);
    element("file").addEventListener("change", async (event) => {
      const [file] = event.target.files;
      if (!file) return;
      const picture = await createImageBitmap(file);
      paper.imageSmoothingEnabled = true;
      paper.imageSmoothingQuality = "high";
      paper.drawImage(picture, 0, 0, canvas.width, canvas.height);
      show(pixels({ left: 0, top: 0, scale: canvas.width / width, tall: canvas.height / height }));
    });
    vectors.slice(0, 16).forEach((vector) => {
      const face = document.createElement("canvas");
      [face.width, face.height] = [width, height];
      paint(face, vector.sample);
      offer(vector.sample, face);
    });
    return (sample) => {
      const small = document.createElement("canvas");
      [small.width, small.height] = [width, height];
      paint(small, sample);
      paper.imageSmoothingEnabled = false;
      paper.drawImage(small, 0, 0, canvas.width, canvas.height);
      show(sample);
    };

    function paint(face, sample) {
      const image = new ImageData(width, height), plane = width * height;
      for (let i = 0; i < plane; i++) {
        for (let c = 0; c < 3; c++) image.data[4 * i + c] = sample[(channels < 3 ? 0 : c) * plane + i];
        image.data[4 * i + 3] = 255;
      }
      face.getContext("2d").putImageData(image, 0, 0);
    }

    function withPen(clear) {
      const pen = { down: false, fresh: true };
      const at = (event) => {
        const box = canvas.getBoundingClientRect();
        return [((event.clientX - box.left) * canvas.width) / box.width,
          ((event.clientY - box.top) * canvas.height) / box.height];
      };
      canvas.addEventListener("pointerdown", (event) => {
        if (pen.fresh) clear(); // what was shown there makes room for what is drawn
        pen.fresh = false;
        pen.down = true;
        pen.at = at(event);
        if (event.isTrusted) canvas.setPointerCapture(event.pointerId);
      });
      canvas.addEventListener("pointermove", (event) => {
        if (!pen.down) return;
        const to = at(event);
        paper.strokeStyle = "white";
        paper.lineWidth = canvas.width / 13;
        paper.lineCap = paper.lineJoin = "round";
        paper.beginPath();
        paper.moveTo(...pen.at);
        paper.lineTo(...to);
        paper.stroke();
        pen.at = to;
        show(drawn());
      });
      for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { pen.down = false; });
      element("samples").addEventListener("click", () => { pen.fresh = true; });
      element("centre").addEventListener("change", () => { if (!pen.fresh) show(drawn()); });
      element("clear").addEventListener("click", () => {
        clear();
        pen.fresh = false;
        element("answer").textContent = "–";
        element("took").textContent = "";
        element("bars").replaceChildren();
      });
    }

    /* What is drawn, as the student's pixels; centred as MNIST is: 20 pixels large, its centre of mass in the middle. */
    function drawn() {
      const whole = { left: 0, top: 0, scale: canvas.width / width, tall: canvas.height / height };
      if (!element("centre").checked) return pixels(whole);
      const image = paper.getImageData(0, 0, canvas.width, canvas.height).data;
      let [left, right, top, bottom, mass, sumX, sumY] = [Infinity, -1, Infinity, -1, 0, 0, 0];
      for (let y = 0, i = 0; y < canvas.height; y++)
        for (let x = 0; x < canvas.width; x++, i += 4) {
          if (image[i] < 16) continue;
          [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
          [mass, sumX, sumY] = [mass + image[i], sumX + image[i] * (x + 0.5), sumY + image[i] * (y + 0.5)];
        }
      if (!mass) return pixels(whole);
      const share = 20 / 28, scale = Math.max((right - left + 1) / (share * width), (bottom - top + 1) / (share * height));
      return pixels({ left: sumX / mass - (scale * width) / 2, top: sumY / mass - (scale * height) / 2, scale, tall: scale });
    }

    /* Means of the canvas over squares of `scale` by `tall`, from a corner; black beyond its sides. */
    function pixels({ left, top, scale, tall }) {
      const image = paper.getImageData(0, 0, canvas.width, canvas.height).data, sample = new Uint8Array(channels * height * width);
      const parts = Math.max(1, Math.ceil(Math.max(scale, tall)));
      for (let c = 0, at = 0; c < channels; c++)
        for (let y = 0; y < height; y++)
          for (let x = 0; x < width; x++, at++) {
            let sum = 0;
            for (let v = 0; v < parts; v++)
              for (let u = 0; u < parts; u++) {
                const px = Math.floor(left + (x + (u + 0.5) / parts) * scale);
                const py = Math.floor(top + (y + (v + 0.5) / parts) * tall);
                if (px < 0 || py < 0 || px >= canvas.width || py >= canvas.height) continue;
                const i = 4 * (py * canvas.width + px);
                sum += channels === 3 ? image[i + c] : 0.299 * image[i] + 0.587 * image[i + 1] + 0.114 * image[i + 2];
              }
            sample[at] = Math.round(sum / parts ** 2);
          }
      return sample;
    }
  }
})();
