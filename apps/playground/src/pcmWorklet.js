// Runs beside the page: hands over what the microphone records, some milliseconds at a time.

const BATCH = 1024

class Pcm extends AudioWorkletProcessor {
  #batch = new Float32Array(BATCH)
  #filled = 0

  process([[channel] = []]) {
    for (const sample of channel ?? []) {
      this.#batch[this.#filled] = sample
      this.#filled += 1
      if (this.#filled < BATCH) continue
      this.port.postMessage(this.#batch)
      this.#filled = 0
    }
    return true
  }
}

registerProcessor('pcm', Pcm)
