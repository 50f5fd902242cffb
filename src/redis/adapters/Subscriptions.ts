// Channels over one connection that is opened anew, on whichever node there is, for as long as somebody listens.

import type { Clock, TimerHandle } from '../../core/clock.ts'
import { CommsError } from '../../core/errors.ts'
import { type Random, systemRandom } from '../../core/random.ts'
import { systemClock } from '../../core/systemClock.ts'
import { isAnswer } from '../EngineError.ts'

/** A connection that listens, being opened. */
export interface Listening {
  /** Resolves when channels can be subscribed to. */
  readonly ready: Promise<unknown>
  subscribe(channel: string): Promise<unknown>
  unsubscribe(channel: string): Promise<unknown>
  /** Asks for a sign of life, where the client can. */
  ping?(): Promise<unknown>
  close(): void
}

/** Opens one; `onEnd` is told once it is of no use any more. */
export type OpenListening = (
  onMessage: (channel: string, message: Uint8Array) => void,
  onEnd: (error?: unknown) => void,
) => Listening

interface Listener {
  readonly onMessage: (message: Uint8Array) => void
  readonly onGap: () => void
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
  /** `missing`: it did listen, and its connection is gone. */
  state: 'new' | 'listening' | 'missing'
}

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2000
/** A connection can die without a word: it is asked this often, and given up when it is silent for as long. */
const PING_EVERY_MS = 5000

export class Subscriptions {
  readonly #open: OpenListening
  readonly #clock: Clock
  readonly #random: Random
  readonly #channels = new Map<string, Set<Listener>>()
  #listening: Listening | undefined
  /** What has been asked for on the connection there is: some clients would deliver twice what is asked for twice. */
  #asked = new Map<string, Promise<unknown>>()
  #timer: TimerHandle | undefined
  #pauseMs = 0

  constructor(open: OpenListening, clock: Clock = systemClock, random: Random = systemRandom) {
    this.#open = open
    this.#clock = clock
    this.#random = random
  }

  /** Resolves once it listens; goes on trying while nobody answers. @throws what the engine refused it with */
  async subscribe(
    channel: string,
    onMessage: (message: Uint8Array) => void,
    onGap: () => void,
  ): Promise<() => Promise<void>> {
    let listener!: Listener
    const subscribed = new Promise<void>((resolve, reject) => {
      listener = { onMessage, onGap, resolve, reject, state: 'new' }
    })
    const isNew = !this.#channels.has(channel)
    const listeners = this.#channels.get(channel) ?? new Set()
    this.#channels.set(channel, listeners.add(listener))
    if (this.#channels.size === 1 && isNew && !this.#listening) this.#connect()
    else if (this.#listening) this.#ask(this.#listening, channel)
    try {
      await subscribed
    } catch (error) {
      await this.#leave(channel, listener)
      throw error
    }
    return () => this.#leave(channel, listener)
  }

  /** Ends all; who still waits to listen is told. */
  close(): void {
    const closed = new CommsError('the engine was closed', { code: 'DISPOSED' })
    for (const listeners of this.#channels.values()) for (const { reject } of listeners) reject(closed)
    this.#channels.clear()
    this.#drop()
  }

  async #leave(channel: string, listener: Listener): Promise<void> {
    const listeners = this.#channels.get(channel)
    if (!listeners?.delete(listener) || listeners.size > 0) return
    this.#channels.delete(channel)
    // The last one out: a connection would only keep the process alive.
    if (this.#channels.size === 0) this.#drop()
    else if (this.#asked.delete(channel)) await this.#listening?.unsubscribe(channel).catch(() => {})
  }

  #drop(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
    const listening = this.#listening
    this.#listening = undefined
    this.#pauseMs = 0
    listening?.close()
  }

  #connect(): void {
    this.#timer = undefined
    let ended = false
    let listening: Listening | undefined
    const onEnd = (error?: unknown) => {
      if (ended) return
      ended = true
      // Told while it was being opened: there is nothing to close yet.
      if (listening) this.#again(listening, error)
    }
    listening = this.#open((channel, message) => this.#deliver(channel, message), onEnd)
    this.#listening = listening
    this.#asked = new Map()
    const opened = listening
    opened.ready.then(() => this.#askAll(opened), onEnd)
    if (ended) this.#again(opened, undefined)
  }

  async #askAll(listening: Listening): Promise<void> {
    if (listening !== this.#listening) return
    const asked = [...this.#channels.keys()].map((channel) => this.#ask(listening, channel))
    if (!(await Promise.all(asked)).every(Boolean) || listening !== this.#listening) return
    this.#pauseMs = 0
    this.#watch(listening)
    for (const listener of this.#listeners()) {
      if (listener.state !== 'missing') continue
      listener.state = 'listening'
      guarded(listener.onGap)
    }
  }

  #listeners(): Listener[] {
    return [...this.#channels.values()].flatMap((listeners) => [...listeners])
  }

  /** Resolves to whether it listens there. */
  async #ask(listening: Listening, channel: string): Promise<boolean> {
    try {
      await listening.ready
      if (listening !== this.#listening || !this.#channels.has(channel)) return false
      const asked = this.#asked.get(channel) ?? listening.subscribe(channel)
      this.#asked.set(channel, asked)
      await asked
      for (const listener of this.#channels.get(channel) ?? []) {
        if (listener.state !== 'new') continue
        listener.state = 'listening'
        listener.resolve()
      }
      return true
    } catch (error) {
      if (listening === this.#listening) {
        if (refuses(error)) this.#refuse(channel, error)
        this.#again(listening, error)
      }
      return false
    }
  }

  /** Who has never listened is told; who has goes on trying: permissions come back, too. */
  #refuse(channel: string, error: unknown): void {
    for (const { reject } of this.#channels.get(channel) ?? []) reject(error)
  }

  #again(listening: Listening, error: unknown): void {
    if (listening !== this.#listening) {
      listening.close()
      return
    }
    if (refuses(error)) for (const channel of [...this.#channels.keys()]) this.#refuse(channel, error)
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
    this.#listening = undefined
    for (const listener of this.#listeners()) if (listener.state === 'listening') listener.state = 'missing'
    listening.close()
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * this.#pauseMs || FIRST_PAUSE_MS)
    const pauseMs = this.#pauseMs * (0.5 + this.#random() / 2)
    this.#timer = this.#clock.setTimeout(() => this.#connect(), pauseMs)
  }

  /** Signs of life. */
  #watch(listening: Listening): void {
    if (!listening.ping) return
    let answered = true
    const look = () => {
      if (listening !== this.#listening) return
      if (!answered) {
        this.#again(listening, undefined)
        return
      }
      answered = false
      listening.ping?.().then(
        () => {
          answered = true
        },
        () => {},
      )
      this.#timer = this.#clock.setTimeout(look, PING_EVERY_MS, true)
    }
    this.#timer = this.#clock.setTimeout(look, PING_EVERY_MS, true)
  }

  #deliver(channel: string, message: Uint8Array): void {
    for (const { onMessage } of [...(this.#channels.get(channel) ?? [])]) guarded(() => onMessage(message))
  }
}

/** Whether the engine said no, as opposed to being away. */
function refuses(error: unknown): boolean {
  return (
    error instanceof Error &&
    isAnswer(error.message) &&
    !/^(?:LOADING|MASTERDOWN|CLUSTERDOWN)/.test(error.message)
  )
}

/** A listener that throws harms neither the connection nor the others. */
function guarded(tell: () => void): void {
  try {
    tell()
  } catch (error) {
    console.error('a listener of a channel threw:', error)
  }
}
