"use strict";
/* The integer arithmetic of kd/deploy/reference.py, to the bit, for one sample. A number is an integer below 2^53. */
const Integers = (() => {
  const TYPES = { int8: Int8Array, int32: Int32Array, float32: Float32Array };
  const FRACTION = 12, INTERVALS_PER_ONE = 8, ENDS16 = [-32768, 32767];

  const size = (shape) => shape.reduce((product, side) => product * side, 1);
  const clamp = (x, low, high) => (x < low ? low : x > high ? high : x);

  /* x·factor / 2^shift, rounded half up; products beyond 2^52 are taken apart, for doubles do not hold them. */
  function scaled(x, factor, shift) {
    const product = x * factor;
    if (Math.abs(product) < 2 ** 52) return Math.floor((product + 2 ** (shift - 1)) / 2 ** shift);
    const high = Math.floor(factor / 32768), low = factor - high * 32768;
    const rest = x * low + 2 ** (shift - 1);
    return Math.floor((x * high + Math.floor(rest / 32768)) / 2 ** (shift - 15));
  }

  function sigmoid(table, x, fraction) {
    const step = 2 ** (fraction - 3);
    const far = Math.min(Math.abs(x), INTERVALS_PER_ONE * 2 ** fraction - 1);
    const index = Math.floor(far / step), part = far - index * step;
    const found = table[index] + Math.floor(((table[index + 1] - table[index]) * part) / step);
    return x < 0 ? 32768 - found : found;
  }

  const tanh = (table, x, fraction) => 2 * sigmoid(table, 2 * x, fraction) - 32768;
  const of = (numbers, application) => numbers[Math.min(application, numbers.length - 1)];
  const row = (tensor, application) => {
    const width = size(tensor.shape.slice(1)), at = Math.min(application, tensor.shape[0] - 1) * width;
    return tensor.data.subarray(at, at + width);
  };

  function activate(table, stage, x, slope) {
    const bits = stage.fraction;
    switch (stage.activation) {
      case "none": return x;
      case "relu": return Math.max(x, 0);
      case "leaky_relu": return x < 0 ? scaled(x, 6554, 16) : x;
      case "prelu": return x < 0 ? scaled(x, slope, 16) : x;
      case "silu": return scaled(x, sigmoid(table, x, bits), 15);
      case "hardswish":
        return scaled(x, scaled(clamp(x + 3 * 2 ** bits, 0, 6 * 2 ** bits), 10923, 16), bits);
      case "sigmoid": return Math.floor((sigmoid(table, x, bits) * 2 ** bits) / 32768);
    }
    throw new Error(`no activation ${stage.activation}`);
  }

  const keep = (stage, x, application = 0, bits = 8) =>
    clamp(scaled(x, of(stage.keep, application), stage.keep_shift) + of(stage.zero, application),
      -(2 ** (bits - 1)), 2 ** (bits - 1) - 1);
  const residual = (stage, x, application = 0) =>
    scaled(x - of(stage.add_zero, application), of(stage.add, application), stage.add_shift);
  const lessZero = (stage, x, application = 0) => {
    const zero = of(stage.in_zero, application);
    return x.map((value) => value - zero);
  };

  /* Fixed-point numbers of sums, (channels, each). */
  function fixed(table, stage, sums, channels, application = 0) {
    const each = sums.length / channels, out = new Float64Array(sums.length);
    const factors = stage.multiplier && row(stage.multiplier, application);
    const rows = stage.bias ? stage.bias.shape[0] : 0;
    const bias = rows && (rows > 1 || application === stage.applications - 1) ? row(stage.bias, application) : null;
    for (let c = 0, i = 0; c < channels; c++)
      for (let k = 0; k < each; k++, i++) {
        let x = factors ? scaled(sums[i], factors[c], stage.shift) : sums[i];
        if (bias) x += bias[c];
        out[i] = activate(table, stage, x, stage.slope ? stage.slope.data[c] : 0);
      }
    return out;
  }

  /* Sums of products of a window; weight (out, in or 1, rows, columns), activations (channels, height, width). */
  function convolve(window, source, target, weight, x, depthwise = false) {
    const [channels, height, width] = source, [outs, outHeight, outWidth] = target;
    const [rows, columns] = window.kernel, [strideY, strideX] = window.stride, [top, left] = window.padding;
    const ins = depthwise ? 1 : channels, sums = new Float64Array(outs * outHeight * outWidth);
    for (let o = 0; o < outs; o++)
      for (let y = 0; y < outHeight; y++)
        for (let z = 0; z < outWidth; z++) {
          let sum = 0;
          for (let i = 0; i < ins; i++) {
            const plane = (depthwise ? o : i) * height * width, kernel = (o * ins + i) * rows * columns;
            for (let r = 0; r < rows; r++) {
              const v = y * strideY + r - top;
              if (v < 0 || v >= height) continue;
              for (let c = 0; c < columns; c++) {
                const w = z * strideX + c - left;
                if (w >= 0 && w < width) sum += weight[kernel + r * columns + c] * x[plane + v * width + w];
              }
            }
          }
          sums[(o * outHeight + y) * outWidth + z] = sum;
        }
    return sums;
  }

  /* Rows of x (many, inner) times rows of weight (out, inner). */
  function product(x, weight, inner) {
    const many = x.length / inner, outs = weight.length / inner, sums = new Float64Array(many * outs);
    for (let m = 0; m < many; m++)
      for (let o = 0; o < outs; o++) {
        let sum = 0;
        for (let i = 0; i < inner; i++) sum += x[m * inner + i] * weight[o * inner + i];
        sums[m * outs + o] = sum;
      }
    return sums;
  }

  function transposed(x, rows) {
    const columns = x.length / rows, out = new Float64Array(x.length);
    for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = x[r * columns + c];
    return out;
  }

  /* Another shape is another view of memory, where channels come last. */
  function asSource(shape, source, x) {
    if (shape.every((side, axis) => side === source[axis])) return x;
    return transposed(transposed(x, shape[0]), source[1] * source[2]);
  }

  const POINT = { kernel: [1, 1], stride: [1, 1], padding: [0, 0] };
  const OPERATIONS = {
    Convolution(op, table, x) {
      const stage = op.stages.sums, weight = op.weights.weight.data, outs = op.target[0];
      for (let a = 0; a < op.applications; a++) {
        const before = x, each = size(op.target) / outs;
        const sums = convolve(op.window, op.source, op.target, weight, lessZero(stage, x, a));
        x = fixed(table, stage, sums, outs, a);
        if (op.combine === "add") x = x.map((y, i) => y + residual(stage, before[i], a));
        if (op.combine === "liquid")
          x = x.map((gate, i) => {
            const channel = Math.floor(i / each), bits = stage.fraction;
            const top = residual(stage, before[i], a) + scaled(gate, op.vectors.reversal.data[channel], bits);
            return Math.trunc((top * 2 ** bits) / (op.vectors.rate.data[channel] + gate));
          });
        x = x.map((y) => keep(stage, y, a));
      }
      return x;
    },
    Separable(op, table, x) {
      const { middle, sums: stage } = op.stages, channels = op.source[0], between = [channels, ...op.target.slice(1)];
      for (let a = 0; a < op.applications; a++) {
        const before = x;
        let y = convolve(op.window, op.source, between, op.weights.depthwise.data, lessZero(middle, x, a), true);
        y = fixed(table, middle, y, channels, a).map((one) => keep(middle, one, a));
        y = convolve(POINT, between, op.target, op.weights.pointwise.data, lessZero(stage, y, a));
        y = fixed(table, stage, y, op.target[0], a);
        x = y.map((one, i) => keep(stage, op.combine === "add" ? one + residual(stage, before[i], a) : one, a));
      }
      return x;
    },
    Inverted(op, table, x) {
      const { expand, depthwise, sums: last } = op.stages, weights = op.weights;
      const wide = [weights.expand.shape[0], ...op.source.slice(1)];
      for (let a = 0; a < op.applications; a++) {
        const before = x;
        let y = convolve(POINT, op.source, wide, weights.expand.data, lessZero(expand, x, a));
        y = fixed(table, expand, y, wide[0], a).map((one) => keep(expand, one, a));
        y = convolve(op.window, wide, wide, weights.depthwise.data, lessZero(depthwise, y, a), true);
        y = fixed(table, depthwise, y, wide[0], a).map((one) => keep(depthwise, one, a));
        y = convolve(POINT, wide, op.source, weights.project.data, lessZero(last, y, a));
        x = fixed(table, last, y, op.source[0], a).map((one, i) => keep(last, one + residual(last, before[i], a), a));
      }
      return x;
    },
    Pool(op, table, x) {
      const [channels, height, width] = op.source, [, outHeight, outWidth] = op.target, [rows, columns] = op.window;
      const out = new Float64Array(size(op.target)), count = rows * columns;
      for (let c = 0, at = 0; c < channels; c++)
        for (let y = 0; y < outHeight; y++)
          for (let z = 0; z < outWidth; z++, at++) {
            let most = -Infinity, sum = 0;
            for (let r = 0; r < rows; r++)
              for (let k = 0; k < columns; k++) {
                const one = x[(c * height + y * rows + r) * width + z * columns + k];
                most = Math.max(most, one);
                sum += one;
              }
            const half = Math.floor(count / 2);
            out[at] = op.mode === "max" ? most : Math.floor((sum + half) / 2 ** half);
          }
      return out;
    },
    GlobalAverage(op, table, x) {
      const stage = op.stages.out;
      return means(lessZero(stage, x), op.source[0]).map((sum) => keep(stage, sum));
    },
    Gates(op, table, x) {
      const { mean, squeeze, excite, out } = op.stages, channels = op.source[0], each = x.length / channels;
      let y = means(lessZero(mean, x), channels).map((sum) => keep(mean, sum, 0, 16));
      const hidden = op.weights.squeeze.shape[0];
      y = fixed(table, squeeze, product(y, op.weights.squeeze.data, channels), hidden).map((one) => keep(squeeze, one, 0, 16));
      y = fixed(table, excite, product(y, op.weights.excite.data, hidden), channels).map((one) => keep(excite, one, 0, 16));
      return lessZero(out, x).map((one, i) => keep(out, one * y[Math.floor(i / each)]));
    },
    RowColumn(op, table, x) {
      const { column: first, sums: stage } = op.stages, { column, row: rowWeight } = op.weights;
      const [ins, height, width] = op.source, [outs, rows, columns] = op.target;
      const out = new Float64Array(size(op.target)), inside = lessZero(first, x), pairs = column.shape[0];
      const factors = first.multiplier.data, wide = stage.multiplier.data, bias = stage.bias.data;
      for (let o = 0; o < outs; o++) {
        const from = Math.floor(o / (outs / ins)), pair = pairs === 1 ? 0 : o;
        const plane = inside.subarray(from * height * width, (from + 1) * height * width);
        const weights = column.data.subarray(pair * columns * width, (pair + 1) * columns * width);
        const middle = product(plane, weights, width).map((sum, i) =>
          clamp(scaled(sum, factors[pair * columns + (i % columns)], first.shift), ...ENDS16));
        for (let r = 0; r < rows; r++)
          for (let c = 0; c < columns; c++) {
            let sum = 0;
            for (let h = 0; h < height; h++)
              sum += rowWeight.data[(pair * rows + r) * height + h] * middle[h * columns + c];
            const at = (o * rows + r) * columns + c;
            sum = scaled(sum, wide[at], stage.shift) + bias[at];
            sum = activate(table, stage, sum, stage.slope ? stage.slope.data[o] : 0);
            out[at] = keep(stage, op.residual ? sum + residual(stage, x[at]) : sum);
          }
      }
      return out;
    },
    Mixer(op, table, x) {
      const channels = op.source[0], tokens = x.length / channels;
      for (let a = 0; a < op.applications; a++) {
        x = mixed(op, table, "token", x, channels, tokens, a);
        x = transposed(mixed(op, table, "channel", transposed(x, channels), channels, tokens, a), tokens);
      }
      return x;
    },
    Scan(op, table, x) {
      const [channels, height, width] = op.source, out = op.stages.out, found = [];
      let maps = transposed(x, channels); // (height, width, channels)
      if (op.axis === "columns") {
        const swapped = new Float64Array(x.length);
        for (let h = 0; h < height; h++)
          for (let w = 0; w < width; w++)
            for (let c = 0; c < channels; c++)
              swapped[(w * height + h) * channels + c] = maps[(h * width + w) * channels + c];
        maps = swapped;
      }
      const steps = { rows: height, columns: width, positions: height * width }[op.axis], features = x.length / steps;
      const hidden = op.target[0] / op.cells.length;
      op.cells.forEach((cell, number) => {
        const step = (cell.kind === "ClosedForm" ? closedForm : timeConstant)(op, table, number, cell);
        let state = new Float64Array(hidden), total = new Float64Array(hidden);
        for (let s = 0; s < steps; s++) {
          const time = number === 0 ? s : steps - 1 - s;
          state = step(maps.subarray(time * features, (time + 1) * features), state);
          total = total.map((sum, h) => sum + state[h]);
        }
        found.push(...(op.mean ? total : state));
      });
      return Float64Array.from(found, (one) => clamp(scaled(one, out.keep[0], out.keep_shift) + out.zero[0], -128, 127));
    },
  };

  function means(x, channels) {
    const each = x.length / channels, sums = new Float64Array(channels);
    for (let i = 0; i < x.length; i++) sums[Math.floor(i / each)] += x[i];
    return sums;
  }

  /* Mix the rows of y: (channels, tokens), or for channels (tokens, channels). */
  function mixed(op, table, name, y, channels, tokens, a) {
    const first = op.stages[`${name} first`], second = op.stages[`${name} second`], norm = op.stages[`${name} norm`];
    const ofTokens = name === "token", inner = ofTokens ? tokens : channels, outer = ofTokens ? channels : tokens;
    let vector = y;
    if (norm) {
      vector = ofTokens ? vector : transposed(vector, tokens);
      vector = fixed(table, norm, lessZero(norm, vector, a), channels, a).map((one) => keep(norm, one, a));
      vector = ofTokens ? vector : transposed(vector, channels);
    }
    const one = op.weights[`${name} first`].data, two = op.weights[`${name} second`].data, width = one.length / inner;
    let x = product(lessZero(first, vector), one, inner).map((sum, i) => {
      const at = i % width, slope = first.slope ? first.slope.data[ofTokens ? Math.floor(i / width) : at] : 0;
      const wide = scaled(sum, first.multiplier.data[at], first.shift) + first.bias.data[at];
      return keep(first, activate(table, first, wide, slope));
    });
    x = product(lessZero(second, x), two, width);
    if (x.length !== outer * inner) throw new Error("a mixer's shapes do not fit");
    return x.map((sum, i) => {
      const at = i % inner;
      const wide = scaled(sum, second.multiplier.data[at], second.shift) + second.bias.data[at];
      return keep(second, wide + residual(second, y[i], a), a);
    });
  }

  function closedForm(op, table, number) {
    const first = op.stages[`input ${number}`], second = op.stages[`recurrent ${number}`];
    const inputs = op.weights[`input ${number}`].data, recurrent = op.weights[`recurrent ${number}`].data;
    return (x, state) => {
      const hidden = state.length, drive = product(lessZero(first, x), inputs, x.length);
      const inner = product(state, recurrent, hidden);
      const sums = drive.map((sum, i) => scaled(sum, first.multiplier.data[i], first.shift) + first.bias.data[i]
        + scaled(inner[i], second.multiplier.data[i], second.shift));
      return state.map((_, h) => {
        const gate = sigmoid(table, sums[2 * hidden + h], FRACTION), half = 2 ** 17, unit = 2 ** 18;
        const one = tanh(table, sums[h], FRACTION), other = tanh(table, sums[hidden + h], FRACTION);
        return Math.floor((one * (32768 - gate) + half) / unit) + Math.floor((other * gate + half) / unit);
      });
    };
  }

  function timeConstant(op, table, number, cell) {
    const vector = (name) => op.vectors[`${name} ${number}`].data, value = (name) => op.numbers[`${name} ${number}`];
    const stage = op.stages[`scale ${number}`], bits = value("state");
    const capacity = vector("capacity"), leak = vector("leak"), rest = vector("rest");
    function currents(name, source) {
      const weights = op.weights[`${name} ${number}`].data, sources = source.length, hidden = capacity.length;
      const shares = { drive: new Float64Array(hidden), conductance: new Float64Array(hidden) };
      const factors = vector(`${name} argument`), shift = value(`${name} argument`), left = 2 ** value(`${name} left`);
      for (let h = 0; h < hidden; h++) {
        for (let s = 0; s < sources; s++) {
          const at = 4 * (h * sources + s);
          const argument = scaled(weights[at] * source[s] - weights[at + 1] * left, factors[h], shift);
          const gate = Math.floor(sigmoid(table, argument, FRACTION) / 2 ** (15 - FRACTION));
          shares.conductance[h] += gate * weights[at + 2];
          shares.drive[h] += gate * weights[at + 3];
        }
        for (const part of ["drive", "conductance"])
          shares[part][h] = scaled(shares[part][h], vector(`${name} ${part}`)[h], value(`${name} ${part}`));
      }
      return shares;
    }
    return (x, state) => {
      const source = lessZero(stage, x).map((one, i) =>
        clamp(scaled(one, stage.multiplier.data[i], stage.shift) + stage.bias.data[i], ...ENDS16));
      const outer = currents("sensory", source);
      for (let u = 0; u < cell.unfolds; u++) {
        const inner = currents("recurrent", state);
        state = state.map((one, h) => {
          const top = scaled(one, capacity[h], bits) + rest[h] + inner.drive[h] + outer.drive[h];
          const bottom = capacity[h] + leak[h] + inner.conductance[h] + outer.conductance[h];
          return clamp(Math.trunc((top * 2 ** bits) / bottom), ...ENDS16);
        });
      }
      return state;
    };
  }

  /* A sample, (channels, height, width) of pixels or (time, features) of numbers, as 8-bit maps. */
  function quantised(program, sample) {
    const made = program.input, channels = made.multiplier.data.length, zero = made.zero;
    if (!program.sequences) {
      const each = sample.length / channels;
      return Float64Array.from(sample, (pixel, i) => {
        const c = Math.floor(i / each);
        return clamp(scaled(pixel, made.multiplier.data[c], made.shift) + made.bias.data[c], -128, 127);
      });
    }
    const f = Math.fround, ends = 2 ** 20;
    const kept = Float64Array.from(sample, (number, i) => {
      const c = i % channels, wide = f(f(f(number) - made.mean.data[c]) * made.factor.data[c]);
      return clamp(Math.floor((Math.trunc(clamp(wide, -ends, ends)) + 128) / 256) + zero, -128, 127);
    });
    return transposed(kept, sample.length / channels); // (features, time, 1)
  }

  /* The most likely class, and the 8-bit logits. */
  function answer(program, sample) {
    let x = quantised(program, sample), shape = program.maps;
    for (const op of program.operations.slice(0, -1)) {
      x = OPERATIONS[op.kind](op, program.table, asSource(shape, op.source, x));
      shape = op.target;
    }
    const last = program.operations[program.operations.length - 1], stage = last.stages.sums;
    x = lessZero(stage, asSource(shape, last.source, x));
    const wide = fixed(program.table, stage, product(x, last.weights.weight.data, x.length), last.target[0]);
    return { answer: wide.indexOf(Math.max(...wide)), logits: Array.from(wide, (one) => keep(stage, one)) };
  }

  function bytes(text) {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  }

  /* Arrays that were written as base64, anywhere in a part of a program. */
  function decoded(part) {
    if (Array.isArray(part)) return part.map(decoded);
    if (part === null || typeof part !== "object") return part;
    if (typeof part.base64 === "string")
      return { shape: part.shape, data: new TYPES[part.type](bytes(part.base64).buffer) };
    return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, decoded(value)]));
  }

  return { answer, decoded, bytes };
})();
