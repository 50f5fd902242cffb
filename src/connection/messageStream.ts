// `for await (const message of connection)`: messages kept for a reader that takes them at its own pace.
// A plain line cannot be slowed down, so what waits is bounded, and a reader that falls too far behind is told
// with an error instead of losing messages without a word.

import { CommsError } from '../core/errors.ts'

export class MessageStream<T> implements AsyncIterableIterator<T, undefined> {
  #kept: { readonly message: T; readonly bytes: number }[] = []
  readonly #waiters: PromiseWithResolvers<IteratorResult<T, undefined>>[] = []
  readonly #maxMessages: number
  readonly #maxBytes: number
  readonly #onEnd: (stream: MessageStream<T>) => void
  #bytes = 0
  #ended = false
  /** Told once; after it the stream is simply over. */
  #error: Error | undefined

  /** @param onEnd called once, when the stream takes no more messages */
  constructor(maxMessages: number, maxBytes: number, onEnd: (stream: MessageStream<T>) => void) {
    this.#maxMessages = maxMessages
    this.#maxBytes = maxBytes
    this.#onEnd = onEnd
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** A message came. */
  push(message: T, bytes: number): void {
    if (this.#ended) return
    const { length } = this.#kept
    if (this.#waiters.length === 0 && (length >= this.#maxMessages || this.#bytes + bytes > this.#maxBytes)) {
      const behind = `${length} messages (${this.#bytes} bytes) behind`
      const text = `the reader of this stream is ${behind}: it ends here, no message was skipped before`
      this.end(new CommsError(text, { code: 'QUEUE_FULL' }))
      return
    }
    this.#kept.push({ message, bytes })
    this.#bytes += bytes
    this.#serve()
  }

  /** No more messages: the reader gets what is kept, then the end or the error. */
  end(error?: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    this.#onEnd(this)
    this.#serve()
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const waiter = Promise.withResolvers<IteratorResult<T, undefined>>()
    this.#waiters.push(waiter)
    this.#serve()
    return waiter.promise
  }

  /** The reader left the loop. */
  return(): Promise<IteratorResult<T, undefined>> {
    this.#kept = []
    this.#error = undefined
    this.end()
    return this.next()
  }

  /** Gives readers what there is: a message each, or the end. */
  #serve(): void {
    while (this.#waiters.length > 0 && (this.#kept.length > 0 || this.#ended)) {
      const waiter = this.#waiters.shift()
      const kept = this.#kept.shift()
      const error = this.#error
      if (kept) {
        this.#bytes -= kept.bytes
        waiter?.resolve({ done: false, value: kept.message })
      } else if (error) {
        this.#error = undefined
        waiter?.reject(error)
      } else {
        waiter?.resolve({ done: true, value: undefined })
      }
    }
  }
}
