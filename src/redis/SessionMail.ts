// What the processes on one engine tell each other. Nothing hangs on it: a note that is lost costs time, since whoever asks asks
// again, and what matters lies in the engine.

import type { Clock } from '../core/clock.ts'
import { sleep } from '../core/sleep.ts'
import { type Payload, TEXT } from '../session/frames.ts'
import type { PostFate } from '../session/sharedSessions.ts'
import { StorageError } from '../storage/StorageError.ts'
import type { EngineLink } from './EngineLink.ts'
import { storeOf } from './NodeLease.ts'
import { decodeNote, encodeNote, payloadOf } from './sessionWire.ts'

type Note =
  | ({ readonly t: 'want'; readonly sid: string } & Want)
  /** A session that was asked for is free; or is the asker's already, if all of it follows. */
  | { readonly t: 'free'; readonly sid: string; readonly ask?: number }
  /** Something lies in a session's inbox. */
  | { readonly t: 'posted'; readonly sid: string }
  | { readonly t: 'fate'; readonly token: string; readonly fate: PostFate }
  | { readonly t: 'whisper'; readonly sid?: string; readonly stream: number }

/** Another store wants a session that this one owns. */
export interface Want {
  /** The store that asks, its node, and which of its questions this is. */
  readonly by: string
  readonly node: string
  readonly ask: number
  /** What it has it for; none where no client has come. */
  readonly epoch?: number | undefined
}

/** A note that cannot be sent is tried again so often, after so many milliseconds. */
const TRIES = 4
const AGAIN_MS = 300

export interface MailReader {
  wanted(sid: string, want: Want): void
  posted(sid: string): void
  fate(token: string, fate: PostFate): void
  whispered(sid: string | undefined, stream: number, payload: Payload): void
  /** Notes may have been missed. */
  missed(): void
}

/** Waits for word that a session is free. */
export interface Expecting {
  /** The question that the word may answer. */
  readonly ask: number
  /** Resolves when it is, or after `ms`: to nothing if it is not, to all of it (or nothing of it) if it is. Once only. */
  within(ms: number): Promise<Uint8Array | undefined>
  stop(): void
}

interface Waiting {
  readonly ask: number
  readonly hear: (all: Uint8Array) => void
}

const NOTHING = new Uint8Array()

export class SessionMail {
  readonly #link: EngineLink
  readonly #clock: Clock
  readonly #prefix: string
  readonly #store: string
  readonly #timeoutMs: number
  readonly #reader: MailReader
  readonly #waiting = new Map<string, Set<Waiting>>()
  #asks = 0
  #opening: Promise<void> | undefined
  #closers: (() => Promise<void>)[] = []
  #closed = false

  constructor(
    link: EngineLink,
    clock: Clock,
    { prefix, store, timeoutMs }: { prefix: string; store: string; timeoutMs: number },
    reader: MailReader,
  ) {
    this.#link = link
    this.#clock = clock
    this.#prefix = prefix
    this.#store = store
    this.#timeoutMs = timeoutMs
    this.#reader = reader
  }

  /**
   * Resolves when it hears; tried again at the next call when it fails.
   * @throws StorageError when the engine refuses, or is away: then it goes on trying
   */
  async open(): Promise<void> {
    if (this.#closers.length > 0) return
    this.#opening ??= this.#open().catch((error) => {
      this.#opening = undefined
      throw error
    })
    this.#opening.catch(() => {})
    const over = new AbortController()
    const late = sleep(this.#clock, this.#timeoutMs, over.signal, () => undefined, true).then(() => {
      throw new StorageError(
        `the engine lets nobody listen within ${this.#timeoutMs} ms: it is away or slow`,
        {
          reason: 'unavailable',
        },
      )
    })
    late.catch(() => {})
    try {
      await Promise.race([this.#opening, late])
    } finally {
      over.abort()
    }
  }

  /** How the channels of stores begin, and what the owner of a session is told there when it is asked for it. */
  wantNote(sid: string, want: Omit<Want, 'by'>): [channels: string, note: Uint8Array] {
    const note: Note = { t: 'want', sid, by: this.#store, ...want }
    return [this.#channel(''), encodeNote(note)]
  }

  /** Listens for word that a session is free, until it is told to stop. */
  expect(sid: string): Expecting {
    const waiting = this.#waiting.get(sid) ?? new Set()
    this.#waiting.set(sid, waiting)
    const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>()
    this.#asks += 1
    const one: Waiting = { ask: this.#asks, hear: resolve }
    waiting.add(one)
    return {
      ask: one.ask,
      within: async (ms) => {
        const timer = this.#clock.setTimeout(() => resolve(undefined), ms, true)
        const heard = await promise
        this.#clock.clearTimeout(timer)
        return heard
      },
      stop: () => {
        waiting.delete(one)
        if (waiting.size === 0 && this.#waiting.get(sid) === waiting) this.#waiting.delete(sid)
      },
    }
  }

  free(by: string, sid: string): void {
    this.#tell(by, { t: 'free', sid })
  }

  /** The channel of who has asked, and what is said there of a session that is free. */
  freeNote({ by, ask }: Want, sid: string): [channel: string, note: Uint8Array] {
    const note: Note = { t: 'free', sid, ask }
    return [this.#channel(by), encodeNote(note)]
  }

  posted(node: string, sid: string): void {
    this.#tell(storeOf(node), { t: 'posted', sid })
  }

  /** @param from who posted it: `<store>.<token>` */
  fate(from: string, fate: PostFate): void {
    const store = storeOf(from)
    this.#tell(store, { t: 'fate', token: from.slice(store.length + 1), fate })
  }

  async whisper(sid: string | undefined, stream: number, payload: Payload): Promise<void> {
    const note: Note = { t: 'whisper', ...(sid !== undefined && { sid }), stream }
    await this.#link.command(['PUBLISH', this.#all, encodeNote(note, payload)])
  }

  /** Never rejects. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#closers.map((close) => close().catch(() => {})))
    this.#closers = []
    for (const waiting of this.#waiting.values()) for (const { hear } of waiting) hear(NOTHING)
  }

  get #all(): string {
    return `${this.#prefix}all`
  }

  #channel(store: string): string {
    return `${this.#prefix}to:${store}`
  }

  async #open(): Promise<void> {
    const hear = (bytes: Uint8Array) => this.#heard(bytes)
    const missed = () => {
      if (!this.#closed) this.#reader.missed()
    }
    const channels = [this.#channel(this.#store), this.#all]
    const opened = await Promise.allSettled(
      channels.map((channel) => this.#link.subscribe(channel, hear, missed)),
    )
    const closers = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    const failed = opened.find((one) => one.status === 'rejected')
    if (!failed && !this.#closed) {
      this.#closers = closers
      return
    }
    await Promise.allSettled(closers.map((close) => close()))
    throw failed?.reason ?? new StorageError('the session store is closed', { reason: 'closed' })
  }

  #tell(store: string, note: Note): void {
    this.#try(store, encodeNote(note), TRIES)
  }

  /** Twice heard harms nobody. */
  #try(store: string, note: Uint8Array, tries: number): void {
    this.#link.command(['PUBLISH', this.#channel(store), note]).catch(() => {
      if (tries > 1 && !this.#closed)
        this.#clock.setTimeout(() => this.#try(store, note, tries - 1), AGAIN_MS, true)
    })
  }

  #heard(bytes: Uint8Array): void {
    const heard = decodeNote<Note>(bytes)
    if (!heard || this.#closed) return
    const { note, body } = heard
    switch (note.t) {
      case 'want':
        this.#reader.wanted(note.sid, note)
        return
      case 'free':
        // What answers an earlier question may have been true then.
        for (const { ask, hear } of this.#waiting.get(note.sid) ?? []) hear(ask === note.ask ? body : NOTHING)
        return
      case 'posted':
        this.#reader.posted(note.sid)
        return
      case 'fate':
        this.#reader.fate(note.token, note.fate)
        return
      case 'whisper':
        this.#reader.whispered(note.sid, note.stream, payloadOf(note.stream ?? TEXT, body))
    }
  }
}
