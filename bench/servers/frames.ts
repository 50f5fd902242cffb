// Text frames from server to client (RFC 6455 section 5.2): unmasked, so they can be made once and sent often.

/** One text frame. */
export function frame(text: string): Buffer {
  const payload = Buffer.from(text)
  const header = Buffer.alloc(payload.length < 126 ? 2 : 4)
  header[0] = 0x81
  if (payload.length < 126) header[1] = payload.length
  else {
    header[1] = 126
    header.writeUInt16BE(payload.length, 2)
  }
  return Buffer.concat([header, payload])
}

/** The frames of `json` under the numbers from `first` on, at hardly any cost: only the digits are written anew. */
export class NumberedBlock {
  readonly #json: string
  readonly #count: number
  #template = Buffer.alloc(0)
  #digits = 0

  constructor(json: string, count: number) {
    this.#json = json
    this.#count = count
  }

  from(first: number): Buffer {
    const digits = String(first).length
    if (String(first + this.#count - 1).length !== digits) {
      return Buffer.concat(Array.from({ length: this.#count }, (_, index) => this.#frame(first + index)))
    }
    if (digits !== this.#digits) {
      this.#digits = digits
      this.#template = Buffer.concat(Array.from({ length: this.#count }, () => this.#frame(first)))
    }
    const block = Buffer.from(this.#template)
    const stride = block.length / this.#count
    const start = stride - Buffer.byteLength(this.#json) - 1 - digits
    for (let index = 0; index < this.#count; index += 1) {
      let number = first + index
      for (let at = index * stride + start + digits - 1; number > 0; at -= 1) {
        block[at] = 0x30 + (number % 10)
        number = Math.floor(number / 10)
      }
    }
    return block
  }

  #frame(number: number): Buffer {
    return frame(`${number}:${this.#json}`)
  }
}
