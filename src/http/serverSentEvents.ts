// Text of an event stream to events (WHATWG HTML 9.2.6, by `eventsource-parser`), and lines of JSON to values.
// Decoders are fed text in any pieces and hand out what is complete.

import { createParser } from 'eventsource-parser'
import { CommsError } from '../core/errors.ts'
import { RingBuffer } from '../core/ringBuffer.ts'
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

export class SseDecoder implements StreamDecoder<ServerSentEvent> {
  readonly #position: SsePosition
  readonly #complete = new RingBuffer<ServerSentEvent>()
  #id: string
  readonly #parser = createParser({
    onId: (id) => {
      this.#id = id
    },
    onRetry: (ms) => {
      this.#position.retryMs = ms
    },
    onEvent: ({ event = 'message', data }) => {
      this.#complete.push({ event, data, id: this.#id })
    },
  })

  /** @param position kept up to date as events are handed out */
  constructor(position: SsePosition) {
    this.#position = position
    this.#id = position.lastEventId
  }

  feed(text: string): void {
    this.#parser.feed(text)
  }

  /** An event that its blank line did not end is none: the connection broke within it. */
  finish(): void {}

  take(): { readonly item: ServerSentEvent } | undefined {
    const item = this.#complete.shift()
    if (!item) return undefined
    this.#position.lastEventId = item.id
    return { item }
  }
}

export class NdjsonDecoder<T> implements StreamDecoder<T> {
  readonly #line = new Pieces()
  readonly #complete = new RingBuffer<{ readonly item: T }>()

  feed(text: string): void {
    let start = 0
    // Only what is new is looked through: a line that comes byte by byte must not be read again with each.
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      this.#line.add(text.slice(start, end))
      this.#parse(this.#line.take())
      start = end + 1
    }
    this.#line.add(text.slice(start))
  }

  finish(): void {
    this.#parse(this.#line.take())
  }

  take(): { readonly item: T } | undefined {
    return this.#complete.shift()
  }

  #parse(line: string): void {
    if (line.trim() === '') return
    try {
      this.#complete.push({ item: parseJson(line) as T })
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
