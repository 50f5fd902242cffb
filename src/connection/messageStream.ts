// `for await (const message of connection)`: messages kept for a reader that takes them at its own pace.
// A plain line cannot be slowed down, so what waits is bounded, and a reader that falls too far behind is told
// with an error instead of losing messages without a word.

import { CommsError } from '../core/errors.ts'
import { RingBuffer } from '../core/ringBuffer.ts'

type Waiter<T> = {
  resolve: (result: IteratorResult<T, undefined>) => void
  reject: (error: unknown) => void
}

interface Kept<T> {
  readonly message: T
  readonly bytes: number
}

export class MessageStream<T> implements AsyncIterableIterator<T, undefined> {
  readonly #kept = new RingBuffer<Kept<T>>()
  readonly #waiters = new RingBuffer<Waiter<T>>()
  readonly #maxMessages: number
  readonly #maxBytes: number
  readonly #onEnd: (stream: MessageStream<T>) => void
  #bytes = 0
  #end: { readonly error?: Error } | undefined

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
    if (this.#end) return
    const waiter = this.#waiters.shift()
    if (waiter) {
      waiter.resolve({ done: false, value: message })
      return
    }
    if (this.#kept.length >= this.#maxMessages || this.#bytes + bytes > this.#maxBytes) {
      const behind = `${this.#kept.length} messages (${this.#bytes} bytes) behind`
      this.end(
        new CommsError(
          `the reader of this stream is ${behind}: it ends here, no message was skipped before`,
          {
            code: 'QUEUE_FULL',
          },
        ),
      )
      return
    }
    this.#kept.push({ message, bytes })
    this.#bytes += bytes
  }

  /** No more messages: the reader gets what is kept, then the end or the error. */
  end(error?: Error): void {
    if (this.#end) return
    this.#end = error ? { error } : {}
    this.#onEnd(this)
    for (let waiter = this.#waiters.shift(); waiter; waiter = this.#waiters.shift()) {
      if (error) waiter.reject(error)
      else waiter.resolve({ done: true, value: undefined })
    }
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const kept = this.#kept.shift()
    if (kept) {
      this.#bytes -= kept.bytes
      return Promise.resolve({ done: false, value: kept.message })
    }
    if (this.#end) {
      const { error } = this.#end
      // The error is told once; after it the stream is simply over.
      this.#end = {}
      return error ? Promise.reject(error) : Promise.resolve({ done: true, value: undefined })
    }
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  /** The reader left the loop. */
  return(): Promise<IteratorResult<T, undefined>> {
    this.#kept.clear()
    this.end()
    return Promise.resolve({ done: true, value: undefined })
  }
}
