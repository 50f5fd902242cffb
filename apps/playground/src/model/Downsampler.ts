// Sound at whatever rate the machine records, as the line takes it: 16 kHz, 16 bit, in chunks of 20 ms. Each sample is the
// mean of those it stands for: crude, and enough against the worst of aliasing in speech.

export const SAMPLE_RATE = 16_000
/** 20 ms. */
export const CHUNK_SAMPLES = 320

export class Downsampler {
  readonly #ratio: number
  #chunk = new Int16Array(CHUNK_SAMPLES)
  #filled = 0
  #sum = 0
  #count = 0
  /** How much of the next sample has come, in input samples. */
  #progress = 0

  /** @param inputRate samples a second, at least 16,000 */
  constructor(inputRate: number) {
    this.#ratio = inputRate / SAMPLE_RATE
  }

  /** Takes what was recorded (-1 to 1); returns the chunks that it completes. */
  push(recorded: Float32Array): Int16Array[] {
    const chunks: Int16Array[] = []
    for (const sample of recorded) {
      this.#sum += sample
      this.#count += 1
      this.#progress += 1
      if (this.#progress < this.#ratio) continue
      this.#progress -= this.#ratio
      this.#chunk[this.#filled] = Math.max(-1, Math.min(1, this.#sum / this.#count)) * 0x7fff
      this.#filled += 1
      this.#sum = 0
      this.#count = 0
      if (this.#filled < CHUNK_SAMPLES) continue
      chunks.push(this.#chunk)
      this.#chunk = new Int16Array(CHUNK_SAMPLES)
      this.#filled = 0
    }
    return chunks
  }
}

/** How loud a chunk is, 0 to 1: its root mean square, on a scale of 50 dB, since that is how loudness is heard. */
export function loudness(chunk: Int16Array): number {
  let sum = 0
  for (const sample of chunk) sum += (sample / 0x7fff) ** 2
  const decibels = 10 * Math.log10(sum / chunk.length)
  return Math.max(0, Math.min(1, 1 + decibels / 50))
}
