// Text that comes in pieces, wrapped to a width as it comes: a word goes to the next line before it would cross the edge.
// Control characters are left out: what an assistant says must not move the cursor or name the window.

const CONTROL = /^\p{Cc}$/u

export class WrappedText {
  readonly #write: (text: string) => void
  readonly #width: number
  readonly #indent: string
  #column = 0
  #word = ''
  #spaces = 0

  /** @param width columns of a whole line, indent included */
  constructor(write: (text: string) => void, width: number, indent: string) {
    this.#write = write
    this.#width = width
    this.#indent = indent
  }

  push(text: string): void {
    for (const character of text) {
      if (character === '\n') {
        this.#flushWord()
        this.#newLine()
      } else if (character === ' ' || character === '\t') {
        this.#flushWord()
        this.#spaces += this.#column > 0 ? 1 : 0
      } else if (!CONTROL.test(character)) {
        this.#word += character
      }
    }
  }

  /** Something else is to be written: what follows goes on below it. A word of which more may come is kept back. */
  breakOff(): void {
    if (this.#column > 0) this.#newLine()
  }

  end(): void {
    this.#flushWord()
    if (this.#column > 0) this.#newLine()
  }

  /** Spaces are written with the word behind them: at the edge there is none, and the line break stands for them. */
  #flushWord(): void {
    if (this.#word === '') return
    if (this.#column > 0 && this.#column + this.#spaces + this.#word.length > this.#width) this.#newLine()
    this.#put(this.#column === 0 ? this.#indent + this.#word : ' '.repeat(this.#spaces) + this.#word)
    this.#spaces = 0
    this.#word = ''
  }

  #newLine(): void {
    this.#write('\n')
    this.#column = 0
    this.#spaces = 0
  }

  #put(text: string): void {
    this.#write(text)
    this.#column += text.length
  }
}
