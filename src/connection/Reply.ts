// One answer of the assistant, as it comes in: chunks to iterate, a whole to wait for, a way to stop it.
// Knows no connection: it is handed what arrives, and told when no more will.

/** What `Endpoint.ask` gives: the answer in pieces, or as a whole. */
export interface Reply extends AsyncIterable<string> {
  /** The id of the question; the answer's messages carry it as `request_id`. */
  readonly id: string
  /** The whole answer, once it has ended. @throws what ended it early */
  text(): Promise<string>
  /** Ends it: the assistant is told to stop, iteration ends with what has come. Leaving a `for await` does the same. */
  stop(): void
}

/** A reply together with the end that fills it. */
export class ReplyBuffer implements Reply {
  readonly id: string
  readonly #chunks: string[] = []
  readonly #onStop: () => void
  #ended = false
  #error: Error | undefined
  /** Resolved, and made anew, whenever something has come. */
  #news = Promise.withResolvers<void>()

  constructor(id: string, onStop: () => void) {
    this.id = id
    this.#onStop = onStop
  }

  /** Adds a piece; nothing is added after the end. */
  push(chunk: string): void {
    if (this.#ended || chunk === '') return
    this.#chunks.push(chunk)
    this.#wake()
  }

  /** The answer is complete, or, with an error, will never be. */
  end(error?: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    this.#wake()
  }

  stop(): void {
    if (this.#ended) return
    this.end()
    this.#onStop()
  }

  async text(): Promise<string> {
    while (!this.#ended) await this.#news.promise
    if (this.#error) throw this.#error
    return this.#chunks.join('')
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string, void, undefined> {
    try {
      for (let next = 0; ; next += 1) {
        while (next >= this.#chunks.length && !this.#ended) await this.#news.promise
        if (next >= this.#chunks.length) break
        yield this.#chunks[next] as string
      }
      if (this.#error) throw this.#error
    } finally {
      this.stop()
    }
  }

  #wake(): void {
    const { resolve } = this.#news
    this.#news = Promise.withResolvers()
    resolve()
  }
}
