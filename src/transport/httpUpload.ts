// Reading a streamed request body so that it can be stopped: an upload that is abandoned must not leave its source hanging.

/** A body that yields chunks, with a way to give it up in the middle. */
export class Upload implements AsyncIterableIterator<Uint8Array | string> {
  /** What the source failed with, kept apart from what the network did. */
  failure: { readonly cause: unknown } | undefined
  readonly #source: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array | string>
  #next: (() => Promise<IteratorResult<Uint8Array | string>>) | undefined
  #cancel: ((reason: unknown) => unknown) | undefined
  #over = false

  constructor(source: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array | string>) {
    this.#source = source
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array | string>> {
    if (this.#over) return { done: true, value: undefined }
    try {
      if (!this.#next) this.#open()
      const result = await this.#next?.()
      if (!result || result.done) {
        this.#over = true
        return { done: true, value: undefined }
      }
      if (typeof result.value !== 'string' && !(result.value instanceof Uint8Array)) {
        throw new TypeError('each chunk of a request body must be a string or a Uint8Array')
      }
      return { done: false, value: result.value }
    } catch (cause) {
      this.failure ??= { cause }
      this.stop(cause)
      throw cause
    }
  }

  async return(): Promise<IteratorResult<Uint8Array | string>> {
    this.stop(undefined)
    return { done: true, value: undefined }
  }

  /** Whether anything has been read from the source. */
  get opened(): boolean {
    return this.#next !== undefined
  }

  /** Gives the source up, if it has been read from; an untouched one may be sent by another attempt. Harmless at any time. */
  stop(reason: unknown): void {
    if (this.#over) return
    this.#over = true
    // Nobody waits for the source to wind up: one that hangs must hang alone (ky#803).
    void (async () => this.#cancel?.(reason))().catch(() => {})
  }

  #open(): void {
    if (this.#source instanceof ReadableStream) {
      const reader = this.#source.getReader()
      this.#next = () => reader.read() as Promise<IteratorResult<Uint8Array | string>>
      this.#cancel = (reason) => reader.cancel(reason)
    } else {
      const iterator = this.#source[Symbol.asyncIterator]()
      this.#next = () => iterator.next()
      this.#cancel = () => iterator.return?.()
    }
  }
}
