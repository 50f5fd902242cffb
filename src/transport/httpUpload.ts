// Reading a streamed request body so that it can be stopped: an upload that is abandoned must not leave its source hanging.

import { isWebStream } from '../http/bodyKinds.ts'
import type { HttpBody, HttpHeaders } from './HttpTransport.ts'

/** Whether a body is read chunk by chunk while it is sent. */
export function isStreamed(
  body: HttpBody | undefined,
): body is ReadableStream<Uint8Array> | AsyncIterable<Uint8Array | string> {
  return typeof body === 'object' && (isWebStream(body) || Symbol.asyncIterator in body)
}

/** The length that the caller has announced for a stream, in bytes. */
export function announcedLength(headers: HttpHeaders): number | undefined {
  const length = headers['content-length']
  return length === undefined ? undefined : Number(length)
}

/** Headers without a length: that of a body which is no stream is the transport's to write. */
export function withoutLength(headers: HttpHeaders): HttpHeaders {
  if (!('content-length' in headers)) return headers
  const { 'content-length': _, ...others } = headers
  return others
}

/** A body that yields chunks, with a way to give it up in the middle. */
export class Upload implements AsyncIterableIterator<Uint8Array | string> {
  /** What the source failed with, kept apart from what the network did. */
  failure: { readonly cause: unknown } | undefined
  readonly #source: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array | string>
  #next: (() => Promise<IteratorResult<Uint8Array | string>>) | undefined
  #cancel: ((reason: unknown) => unknown) | undefined
  #over = false
  readonly #announced: number | undefined
  #bytes = 0

  /** @param announced how many bytes the server has been told will come: more or fewer fail the upload */
  constructor(
    source: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array | string>,
    announced?: number | undefined,
  ) {
    this.#source = source
    this.#announced = announced
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
        this.#check(this.#bytes !== (this.#announced ?? this.#bytes), this.#bytes)
        this.#over = true
        return { done: true, value: undefined }
      }
      const value = this.#announced === undefined ? chunkOf(result.value) : this.#counted(result.value)
      return { done: false, value }
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

  #counted(given: unknown): Uint8Array {
    const chunk = chunkOf(given)
    const bytes = typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk
    this.#bytes += bytes.byteLength
    // Before it is sent: what is too much would be taken for the next request on the connection.
    this.#check(this.#bytes > (this.#announced as number), `at least ${this.#bytes}`)
    return bytes
  }

  #check(isWrong: boolean, length: number | string): void {
    if (isWrong) throw new RangeError(`content-length says ${this.#announced} bytes, and it has ${length}`)
  }

  #open(): void {
    if (isWebStream(this.#source)) {
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

function chunkOf(value: unknown): Uint8Array | string {
  if (typeof value === 'string' || value instanceof Uint8Array) return value
  // Of another realm.
  if (ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === '[object Uint8Array]')
    return new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength)
  throw new TypeError('each chunk of a request body must be a string or a Uint8Array')
}
