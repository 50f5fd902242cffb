// The life of the line: which state it is in, and what each event makes of it.
// The one owner of "when does the next attempt start": poll, timer, platform hint and manual connect() all
// come through here, and only the state `waiting` can start one. It owns no socket, timer or request:
// it is told what they said and returns what they should do.

import { CommsError, TimeoutError } from '../core/errors.ts'
import type { Random } from '../core/random.ts'
import {
  type CloseInfo,
  type ReconnectDecision,
  type ReconnectOptions,
  reconnectDecision,
} from './reconnect.ts'

/** What the other side is given to answer our close frame. */
export const CLOSE_TIMEOUT_MS = 5000

export interface LineOptions extends ReconnectOptions {
  readonly connectTimeout: number
  readonly stableAfter: number
  readonly healthInterval: number
  readonly healthUrl: string | false
}

/** `dueAt`: when something has to happen at the latest; `byHealth`: a healthy answer was the cause of this attempt. */
export type LineState =
  | { readonly kind: 'idle' | 'closed' | 'failed' | 'disposed' }
  | { readonly kind: 'connecting' | 'open'; readonly dueAt: number; readonly byHealth: boolean }
  /** `pollAt`: when the health address is to be asked, or, once it is being asked, has failed to answer. */
  | { readonly kind: 'waiting'; readonly dueAt: number; readonly pollAt: number; readonly polling: boolean }
  | { readonly kind: 'closing'; readonly dueAt: number; readonly close: CloseInfo }

/** `idle | connecting | open | waiting | closing | closed | failed | disposed` */
export type ConnectionState = LineState['kind']

export type LineEvent =
  /** The app asks for a line now (or the constructor does). */
  | { readonly type: 'connect' }
  | { readonly type: 'opened' }
  /** The current socket ended, failed or could not be made: by error, close or verdict, whichever came first. */
  | { readonly type: 'ended'; readonly close: CloseInfo; readonly error?: Error | undefined }
  /** The health address answered. */
  | { readonly type: 'health'; readonly healthy: boolean }
  /** Ask the health address now. */
  | { readonly type: 'pollNow' }
  /** The platform hints that the network may be back. */
  | { readonly type: 'hint' }
  | { readonly type: 'close'; readonly code: number; readonly reason: string }
  | { readonly type: 'dispose' }
  /** Time has passed. */
  | { readonly type: 'wake' }

export type LineEffect =
  /** Ask for url and token, open a socket. */
  | { readonly do: 'attempt' }
  /** End the socket, or the attempt that is about to make one; nothing it still says counts. */
  | { readonly do: 'drop' }
  /** Begin the closing handshake. */
  | { readonly do: 'closeSocket'; readonly code: number; readonly reason: string }
  /** Ask the health address; the answer comes back as `health`. */
  | { readonly do: 'poll' }
  | { readonly do: 'stopPoll' }
  /** The line has proved good. */
  | { readonly do: 'stable' }
  /** The event for the listeners goes with it. */
  | { readonly do: 'tellError'; readonly event: Error }
  | { readonly do: 'tellClose'; readonly event: CloseInfo }
  | { readonly do: 'tellReconnecting'; readonly event: { attempt: number; delay: number } }
  | { readonly do: 'tellGivenUp'; readonly event: { attempts: number } }

export class ConnectionMachine {
  state: LineState = { kind: 'idle' }
  /** Automatic attempts since the last stable line: manual ones do not count. */
  attempts = 0
  /** The health address said yes and the upgrade was refused all the same: then only the backoff decides. */
  #healthMisled = false
  readonly #options: LineOptions
  readonly #random: Random

  /** @param options read at every step, so that changes take effect */
  constructor(options: LineOptions, random: Random) {
    this.#options = options
    this.#random = random
  }

  /** When `wake` is due; `Infinity` for never. */
  get wakeAt(): number {
    const { dueAt = Infinity, pollAt = Infinity } = this.state as { dueAt?: number; pollAt?: number }
    return Math.min(dueAt, pollAt)
  }

  /** Takes one event; returns what is to be done, in order. */
  step(event: LineEvent, now: number): readonly LineEffect[] {
    const before = this.state.kind
    const todo: LineEffect[] = []
    if (before !== 'disposed') this.#take(event, now, todo)
    if (before === 'waiting' && this.state.kind !== 'waiting') todo.unshift({ do: 'stopPoll' })
    return todo
  }

  #take(event: LineEvent, now: number, todo: LineEffect[]): void {
    const { state } = this
    const { kind } = state
    const hasSocket = kind === 'connecting' || kind === 'open' || kind === 'closing'
    switch (event.type) {
      case 'connect':
        if (kind === 'connecting' || kind === 'open') return
        if (kind === 'closing') todo.push({ do: 'drop' }, unclean(state.close))
        if (kind !== 'waiting') this.attempts = 0
        this.#attempt(now, todo, false)
        return
      case 'opened':
        if (kind !== 'connecting') return
        this.state = { ...state, kind: 'open', dueAt: now + this.#options.stableAfter }
        return
      case 'ended':
        if (hasSocket) this.#ended(event.close, event.error, now, todo)
        return
      case 'health':
        if (kind === 'waiting' && state.polling) this.#health(event.healthy, now, todo)
        return
      case 'pollNow':
        if (this.#options.healthUrl === false) return
        // Asked by hand for a line that was given up: no timer is left, only the poll.
        if (kind === 'failed') this.#poll(Infinity, now, todo)
        else if (kind === 'waiting' && !state.polling) this.#poll(state.dueAt, now, todo)
        return
      case 'hint':
        if (kind === 'waiting') this.#automatic(now, todo, false)
        return
      case 'close': {
        const { code, reason } = event
        const close = { code, reason, wasClean: true }
        if (kind === 'open') {
          this.state = { kind: 'closing', close, dueAt: now + CLOSE_TIMEOUT_MS }
          todo.push({ do: 'closeSocket', code, reason })
          return
        }
        if (kind === 'closing') return
        this.state = { kind: 'closed' }
        if (kind === 'connecting') todo.push({ do: 'drop' }, unclean(close))
        if (kind === 'waiting') todo.push({ do: 'tellClose', event: close })
        return
      }
      case 'dispose':
        this.state = { kind: 'disposed' }
        // A close frame, if it still goes out, spares the server from taking this for a broken line.
        if (kind === 'open') todo.push({ do: 'closeSocket', code: 1000, reason: '' })
        todo.push({ do: 'drop' })
        if (hasSocket) todo.push(unclean({ code: 1000, reason: 'disposed' }))
        return
      case 'wake':
        if (now >= this.wakeAt) this.#wake(now, todo)
        return
      default:
        event satisfies never
    }
  }

  #attempt(now: number, todo: LineEffect[], byHealth: boolean): void {
    this.state = { kind: 'connecting', dueAt: now + this.#options.connectTimeout, byHealth }
    todo.push({ do: 'attempt' })
  }

  /** An attempt that nobody asked for by hand: it counts. */
  #automatic(now: number, todo: LineEffect[], byHealth: boolean): void {
    this.attempts += 1
    this.#attempt(now, todo, byHealth)
  }

  #ended(close: CloseInfo, error: Error | undefined, now: number, todo: LineEffect[]): void {
    const { state } = this
    todo.push({ do: 'drop' })
    if (error) todo.push({ do: 'tellError', event: error })
    todo.push({ do: 'tellClose', event: close })
    if (state.kind === 'open' && now >= state.dueAt) this.#stable()
    else if ('byHealth' in state) this.#healthMisled ||= state.byHealth
    const decision = state.kind === 'closing' ? { action: 'stop' as const } : this.#decide(close, todo)
    switch (decision.action) {
      case 'stop':
        this.state = { kind: 'closed' }
        return
      case 'fail':
        this.state = { kind: 'failed' }
        return
      case 'giveUp':
        this.state = { kind: 'failed' }
        todo.push({ do: 'tellGivenUp', event: { attempts: this.attempts } })
        return
      case 'wait': {
        const { delayMs: delay } = decision
        const { healthUrl, healthInterval } = this.#options
        // A random phase: a fleet that lost its server at one instant must not come back in step.
        const pollAt = healthUrl === false ? Infinity : now + healthInterval * this.#random()
        this.state = { kind: 'waiting', dueAt: now + delay, pollAt, polling: false }
        todo.push({ do: 'tellReconnecting', event: { attempt: this.attempts + 1, delay } })
      }
    }
  }

  #decide(close: CloseInfo, todo: LineEffect[]): ReconnectDecision {
    try {
      return reconnectDecision(close, this.attempts, this.#options, this.#random)
    } catch (error) {
      // The app's shouldReconnect threw: that is no reason to stay down.
      todo.push({ do: 'tellError', event: error as Error })
      const options = { ...this.#options, shouldReconnect: undefined }
      return reconnectDecision(close, this.attempts, options, this.#random)
    }
  }

  #stable(): void {
    this.attempts = 0
    this.#healthMisled = false
  }

  #poll(dueAt: number, now: number, todo: LineEffect[]): void {
    const { healthInterval, connectTimeout } = this.#options
    const pollAt = now + Math.min(healthInterval, connectTimeout)
    this.state = { kind: 'waiting', dueAt, pollAt, polling: true }
    todo.push({ do: 'poll' })
  }

  #health(healthy: boolean, now: number, todo: LineEffect[]): void {
    if (healthy && !this.#healthMisled) {
      this.#automatic(now, todo, true)
      return
    }
    // It has been down in between: a later yes is news again.
    if (!healthy) this.#healthMisled = false
    const { dueAt } = this.state as { dueAt: number }
    this.state = { kind: 'waiting', dueAt, pollAt: now + this.#options.healthInterval, polling: false }
  }

  #wake(now: number, todo: LineEffect[]): void {
    const { state } = this
    switch (state.kind) {
      case 'connecting': {
        const timeoutMs = this.#options.connectTimeout
        const message = `the connection was not established within ${timeoutMs} ms`
        const error = new TimeoutError(message, { phase: 'connect', timeoutMs, attempts: this.attempts + 1 })
        this.#ended({ code: 1006, reason: 'connect timeout', wasClean: false }, error, now, todo)
        return
      }
      case 'open':
        this.#stable()
        this.state = { kind: 'open', dueAt: Infinity, byHealth: false }
        todo.push({ do: 'stable' })
        return
      case 'waiting':
        if (now >= state.dueAt) this.#automatic(now, todo, false)
        else if (!state.polling) this.#poll(state.dueAt, now, todo)
        else {
          todo.push({ do: 'stopPoll' })
          this.#health(false, now, todo)
        }
        return
      case 'closing': {
        const message = `the close frame was not answered within ${CLOSE_TIMEOUT_MS} ms`
        const error = new CommsError(message, { code: 'CONNECTION' })
        this.#ended({ ...state.close, wasClean: false }, error, now, todo)
      }
    }
  }
}

function unclean(close: Omit<CloseInfo, 'wasClean'>): LineEffect {
  return { do: 'tellClose', event: { ...close, wasClean: false } }
}
