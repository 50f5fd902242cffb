// How large the event of a stream is that is still coming: a server that never ends one must not fill the memory.

/** How many bytes a text has as UTF-8. */
export function byteLength(text: string): number {
  let bytes = text.length
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index)
    // Half of a pair makes two of its four bytes.
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1
  }
  return bytes
}

/** Counts the bytes since the last event ended (WHATWG HTML 9.2.6): comments count only while their line is coming. */
export class EventSize {
  /** Of the lines that are complete. */
  #bytes = 0
  /** Of the line that is not. */
  #line = 0
  #isComment = false
  #afterReturn = false

  feed(text: string): void {
    let start = 0
    for (const { index } of text.matchAll(/[\r\n]/g)) {
      const isPair = this.#afterReturn && text[index] === '\n' && index === start && this.#line === 0
      if (!isPair) {
        this.#add(text.slice(start, index))
        this.#endLine()
      }
      this.#afterReturn = text[index] === '\r'
      start = index + 1
    }
    this.#add(text.slice(start))
  }

  get bytes(): number {
    return this.#bytes + this.#line
  }

  #add(part: string): void {
    if (part === '') return
    this.#afterReturn = false
    if (this.#line === 0) this.#isComment = part[0] === ':'
    this.#line += byteLength(part)
  }

  #endLine(): void {
    if (this.#line === 0) this.#bytes = 0
    else if (!this.#isComment) this.#bytes += this.#line
    this.#line = 0
  }
}
