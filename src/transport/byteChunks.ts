// A body on its way to being whole. Each chunk is an object of a hundred bytes and more, whatever is in it: a server that sends
// every byte in a chunk of its own would otherwise turn a limit of megabytes into gigabytes.

/** Chunks below this are copied together instead of being kept one by one. */
const SMALL = 1024
const FIRST_ROOM = 4096
const MOST_ROOM = 1024 * 1024

/** Collects chunks in the order they come; takes up little more than what is in them. */
export class ByteChunks {
  readonly #chunks: Uint8Array[] = []
  /** Where small chunks are copied to, as far as `#used`. */
  #room: Uint8Array | undefined
  #used = 0
  #length = 0

  add(chunk: Uint8Array): void {
    this.#length += chunk.byteLength
    if (chunk.byteLength >= SMALL) {
      this.#closeRoom()
      this.#chunks.push(chunk)
      return
    }
    if (this.#room && this.#used + chunk.byteLength > this.#room.byteLength) this.#closeRoom()
    this.#room ??= new Uint8Array(Math.min(MOST_ROOM, Math.max(FIRST_ROOM, this.#length)))
    this.#room.set(chunk, this.#used)
    this.#used += chunk.byteLength
  }

  /** All of them as one. */
  whole(): Uint8Array {
    this.#closeRoom()
    const [first] = this.#chunks
    if (this.#chunks.length === 1 && first) return first
    const whole = new Uint8Array(this.#length)
    let offset = 0
    for (const chunk of this.#chunks) {
      whole.set(chunk, offset)
      offset += chunk.byteLength
    }
    return whole
  }

  #closeRoom(): void {
    if (this.#room && this.#used > 0) this.#chunks.push(this.#room.subarray(0, this.#used))
    this.#room = undefined
    this.#used = 0
  }
}
