// Runs beside the page: collects the microphone's samples into chunks and hands them over.

class Pcm extends AudioWorkletProcessor {
  constructor({ processorOptions: { chunk } }) {
    super()
    this.samples = new Float32Array(chunk)
    this.filled = 0
  }

  process([[channel] = []]) {
    for (const sample of channel ?? []) {
      this.samples[this.filled++] = sample
      if (this.filled < this.samples.length) continue
      this.port.postMessage(this.samples.slice())
      this.filled = 0
    }
    return true
  }
}

registerProcessor('pcm', Pcm)
