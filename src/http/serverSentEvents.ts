// Text of an event stream to events (WHATWG HTML 9.2.6, by `eventsource-parser`), and lines of JSON to values.
// Decoders are fed text in any pieces and hand out what is complete.

import { createParser } from 'eventsource-parser'
import { CommsError } from '../core/errors.ts'
import { RingBuffer } from '../core/ringBuffer.ts'
import { byteLength, EventSize } from './eventSize.ts'
import { parseJson } from './parseJson.ts'

/** An event as the server sent it. */
export interface ServerSentEvent {
  /** @default 'message' */
  readonly event: string
  readonly data: string
  /** The last event id so far; empty when the server has given none. */
  readonly id: string
}

/** Turns text into items. */
export interface StreamDecoder<T> {
  /** Takes the next piece of text. @throws CommsError `BAD_RESPONSE` */
  feed(text: string): void
  /** No more text will come: what is complete without a line end counts. @throws CommsError `BAD_RESPONSE` */
  finish(): void
  /** The next complete item, if there is one. */
  take(): { readonly item: T } | undefined
}

/** What outlives a connection: where to go on, and when. */
export interface SsePosition {
  /** Of the latest event handed out; sent as `Last-Event-ID` when the stream is asked for again. */
  lastEventId: string
  /** Milliseconds to wait before asking again, when the server has said so. */
  retryMs: number | undefined
}

/** What both decoders do with an item that is too large: those before it are handed out first. */
class BoundedItems<T> {
  readonly #complete = new RingBuffer<{ readonly item: T }>()
  readonly #maxBytes: number
  readonly #what: string
  #isFull = false

  constructor(maxBytes: number, what: string) {
    this.#maxBytes = maxBytes
    this.#what = what
  }

  push(item: T, bytes: number): void {
    if (this.allows(bytes)) this.#complete.push({ item })
  }

  /** @param bytes of the item that is coming; once it is too large, nothing more is taken */
  allows(bytes: number): boolean {
    this.#isFull ||= bytes > this.#maxBytes
    return !this.#isFull
  }

  /** @throws CommsError `RESPONSE_TOO_LARGE` */
  take(): { readonly item: T } | undefined {
    const next = this.#complete.shift()
    if (!next && this.#isFull)
      throw new CommsError(
        `${this.#what} of the stream has more bytes than maxResponseBytes (${this.#maxBytes})`,
        {
          code: 'RESPONSE_TOO_LARGE',
        },
      )
    return next
  }
}

export class SseDecoder implements StreamDecoder<ServerSentEvent> {
  readonly #position: SsePosition
  readonly #items: BoundedItems<ServerSentEvent>
  readonly #size = new EventSize()
  readonly #isBounded: boolean
  #id: string
  readonly #parser = createParser({
    onId: (id) => {
      this.#id = id
    },
    onRetry: (ms) => {
      this.#position.retryMs = ms
    },
    onEvent: ({ event = 'message', data }) => {
      this.#items.push({ event, data, id: this.#id }, this.#isBounded ? byteLength(data) : 0)
    },
  })

  /**
   * @param position kept up to date as events are handed out
   * @param maxEventBytes the most that one event may have
   */
  constructor(position: SsePosition, maxEventBytes: number = Number.POSITIVE_INFINITY) {
    this.#position = position
    this.#id = position.lastEventId
    this.#items = new BoundedItems(maxEventBytes, 'an event')
    this.#isBounded = maxEventBytes !== Number.POSITIVE_INFINITY
  }

  feed(text: string): void {
    if (!this.#items.allows(0)) return
    this.#parser.feed(text)
    if (!this.#isBounded) return
    this.#size.feed(text)
    this.#items.allows(this.#size.bytes)
  }

  /** An event that its blank line did not end is none: the connection broke within it. */
  finish(): void {}

  take(): { readonly item: ServerSentEvent } | undefined {
    const next = this.#items.take()
    if (next) this.#position.lastEventId = next.item.id
    return next
  }
}

export class NdjsonDecoder<T> implements StreamDecoder<T> {
  readonly #line = new Pieces()
  readonly #items: BoundedItems<T>
  /** Of the line that is coming. */
  #bytes = 0
  #isFirst = true

  /** @param maxLineBytes the most that one line may have */
  constructor(maxLineBytes: number = Number.POSITIVE_INFINITY) {
    this.#items = new BoundedItems(maxLineBytes, 'a line')
  }

  feed(given: string): void {
    const text = this.#isFirst ? given.replace(/^\ufeff/, '') : given
    if (given !== '') this.#isFirst = false
    let start = 0
    // Only what is new is looked through: a line that comes byte by byte must not be read again with each.
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      this.#add(text.slice(start, end))
      this.#parse()
      start = end + 1
    }
    this.#add(text.slice(start))
  }

  finish(): void {
    this.#parse()
  }

  take(): { readonly item: T } | undefined {
    return this.#items.take()
  }

  #add(text: string): void {
    this.#bytes += byteLength(text)
    if (this.#items.allows(this.#bytes)) this.#line.add(text)
  }

  #parse(): void {
    const line = this.#line.take()
    const bytes = this.#bytes
    this.#bytes = 0
    if (!this.#items.allows(bytes) || line.trim() === '') return
    try {
      this.#items.push(parseJson(line) as T, bytes)
    } catch {
      // No cause: the parser quotes the line.
      throw new CommsError(`a line of the stream is no JSON (${line.length} characters)`, {
        code: 'BAD_RESPONSE',
      })
    }
  }
}

/** So many pieces are kept apart before they are joined: single characters must not cost a slot each for long. */
const JOIN_AT = 4096

/** Text that comes in pieces of any size, put together in a time that grows with the text alone. */
class Pieces {
  #large: string[] = []
  #small: string[] = []

  add(text: string): void {
    if (text === '') return
    this.#small.push(text)
    if (this.#small.length < JOIN_AT) return
    this.#large.push(this.#small.join(''))
    this.#small = []
  }

  /** All of it; then it is empty. */
  take(): string {
    const text = this.#large.join('') + this.#small.join('')
    if (this.#large.length > 0) this.#large = []
    this.#small = []
    return text
  }
}
