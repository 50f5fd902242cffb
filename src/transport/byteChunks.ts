// A body on its way to being whole. Each chunk is an object of a hundred bytes and more, whatever is in it: a server that sends
// every byte in a chunk of its own would otherwise turn a limit of megabytes into gigabytes.

const FIRST_ROOM = 4096

/** Collects chunks in the order they come, in one piece of memory that doubles; a single large one is taken as it is. */
export class ByteChunks {
  #room: Uint8Array = new Uint8Array(0)
  #length = 0

  add(chunk: Uint8Array): void {
    const length = this.#length + chunk.byteLength
    if (length > this.#room.byteLength) {
      if (this.#length === 0 && length >= FIRST_ROOM) {
        this.#room = chunk
        this.#length = length
        return
      }
      const room = new Uint8Array(Math.max(FIRST_ROOM, length, 2 * this.#room.byteLength))
      room.set(this.whole())
      this.#room = room
    }
    this.#room.set(chunk, this.#length)
    this.#length = length
  }

  /** All of them as one. */
  whole(): Uint8Array {
    return this.#room.subarray(0, this.#length)
  }
}
