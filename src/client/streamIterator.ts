// What `stream()` returns. A generator cannot be left while somebody waits for its next item: `return()` gets in line behind that
// `next()`, for as long as the server is silent. Here it ends the wait.

import { onAbort } from '../core/abort.ts'

/** The items of a stream, opened when the first is asked for. */
export class StreamIterator<T> implements AsyncIterableIterator<T, undefined, undefined> {
  readonly #items: AsyncGenerator<T, void, undefined>
  readonly #controller = new AbortController()
  readonly #release: (() => void) | undefined
  readonly #waiting = new Set<(result: IteratorResult<T, undefined>) => void>()
  #over = false

  /** @param open is given a signal that aborts with the caller's, and when the iterator is left */
  constructor(
    open: (signal: AbortSignal) => AsyncGenerator<T, void, undefined>,
    signal: AbortSignal | undefined,
  ) {
    this.#items = open(this.#controller.signal)
    this.#release = signal && onAbort(signal, () => this.#controller.abort(signal.reason))
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      if (this.#over) {
        resolve({ done: true, value: undefined })
        return
      }
      this.#waiting.add(resolve)
      this.#items.next().then(
        ({ done, value }) => {
          this.#waiting.delete(resolve)
          if (done) this.#end()
          resolve(done ? { done, value: undefined } : { done: false, value: value as T })
        },
        (error: unknown) => {
          this.#waiting.delete(resolve)
          this.#end()
          reject(error)
        },
      )
    })
  }

  /** Ends the request, and whoever waits for its next item hears that there is none. */
  return(): Promise<IteratorResult<T, undefined>> {
    const isFirst = !this.#over
    this.#end()
    if (isFirst) {
      this.#controller.abort(new Error('the stream has been left'))
      // What it does on its way out is nobody's to wait for.
      this.#items.return().catch(() => {})
    }
    for (const resolve of this.#waiting) resolve({ done: true, value: undefined })
    this.#waiting.clear()
    return Promise.resolve({ done: true, value: undefined })
  }

  async throw(error: unknown): Promise<IteratorResult<T, undefined>> {
    await this.return()
    throw error
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  #end(): void {
    this.#over = true
    this.#release?.()
  }
}
