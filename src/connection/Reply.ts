// One answer of the assistant, as it comes in: chunks to iterate, a whole to wait for, a way to stop it.
// Knows no connection: it is handed what arrives, and told when no more will.

import { type CommsError, ReplyError } from '../core/errors.ts'

/** What `Endpoint.ask` gives: the answer in pieces, or as a whole. Only `stop` ends one short without an error. */
export interface Reply extends AsyncIterable<string> {
  /** The id of the question; the answer's messages carry it as `request_id`. */
  readonly id: string
  /**
   * The whole answer, once it has ended. An assistant that was cut off may answer anew: that one counts.
   * @throws ReplyError, TimeoutError or AbortError when there is none, or not the whole of it; its `text` is what had come
   */
  text(): Promise<string>
  /**
   * Where it can be gone on with, by `endpoint.resume(id, { offset })`, on this page or another: behind the last piece that has
   * come. `undefined` where the backend does not keep answers.
   */
  readonly offset: string | undefined
  /** Ends it: the assistant is told to stop, iteration ends with what has come. Leaving a `for await` does the same. */
  stop(): void
}

/** An error that says how far the answer had come. */
export type ReplyFailure = CommsError & { readonly text: string }

/** A reply together with the end that fills it. */
export class ReplyBuffer implements Reply {
  readonly id: string
  offset: string | undefined
  #chunks: string[] = []
  readonly #onStop: () => void
  #ended = false
  #stopped = false
  #error: Error | undefined
  /** How often the answer has begun anew. */
  #run = 0
  /** Resolved, and made anew, whenever something has come. */
  #news = Promise.withResolvers<void>()

  constructor(id: string, onStop: () => void, offset?: string) {
    this.id = id
    this.offset = offset
    this.#onStop = onStop
  }

  /** What has come. */
  get soFar(): string {
    return this.#chunks.join('')
  }

  /** The answer begins: what came before, of an attempt that was cut off, does not count. */
  start(): void {
    if (this.#ended || this.#chunks.length === 0) return
    this.#chunks = []
    this.#run += 1
    this.#wake()
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
    this.#error = error && Object.assign(error, { text: this.soFar })
    this.#wake()
  }

  stop(): void {
    if (this.#ended) return
    this.#stopped = true
    this.end()
    this.#onStop()
  }

  async text(): Promise<string> {
    while (!this.#ended) await this.#news.promise
    if (this.#error) throw this.#error
    return this.soFar
  }

  /** Pieces that were given cannot be taken back: an answer that begins anew goes on behind them, or is an error. */
  async *[Symbol.asyncIterator](): AsyncGenerator<string, void, undefined> {
    const reader = { given: '', repeated: '', run: this.#run, next: 0, parted: false }
    try {
      for (;;) {
        if (reader.run !== this.#run) {
          // What was given twice over already is the longer of the two.
          reader.repeated = reader.given + reader.repeated
          Object.assign(reader, { given: '', run: this.#run, next: 0 })
        }
        if (reader.next < this.#chunks.length) {
          const piece = this.#unread(reader)
          if (piece === undefined) {
            reader.parted = true
            throw this.#restarted()
          }
          if (piece !== '') yield piece
        } else if (this.#ended) break
        else await this.#news.promise
      }
      if (this.#error) throw this.#error
      // Shorter than what was given.
      if (reader.repeated !== '' && !this.#stopped) throw this.#restarted()
    } finally {
      // Whoever leaves stops it; whoever is left behind by an answer that begins anew does not.
      if (!reader.parted) this.stop()
    }
  }

  /** The next chunk, without what this reader was given before; `undefined` when the two do not agree. */
  #unread(reader: { given: string; repeated: string; next: number }): string | undefined {
    const chunk = this.#chunks[reader.next] as string
    reader.next += 1
    const known = Math.min(chunk.length, reader.repeated.length)
    if (chunk.slice(0, known) !== reader.repeated.slice(0, known)) return undefined
    reader.repeated = reader.repeated.slice(known)
    reader.given += chunk
    return chunk.slice(known)
  }

  #restarted(): ReplyError {
    return new ReplyError(
      'the assistant was cut off and answers anew, in other words: text() has the whole',
      {
        code: 'RESTARTED',
        requestId: this.id,
        text: this.soFar,
      },
    )
  }

  #wake(): void {
    const { resolve } = this.#news
    this.#news = Promise.withResolvers()
    resolve()
  }
}
