// The life of the line: which state it is in, and what each event makes of it.
// The one owner of "when does the next attempt start": poll, timer, platform hint and manual connect() all
// come through here, and only the state `waiting` can start one. It owns no socket, timer or request:
// it is told what they said and returns what they should do.

import { CommsError, TimeoutError } from '../core/errors.ts'
import type { Random } from '../core/random.ts'
import type { CloseDecision } from '../session/closeDecision.ts'
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
  | { readonly kind: 'connecting'; readonly dueAt: number; readonly byHealth: boolean }
  /** `dueAt`: when it will have proved good. */
  | {
      readonly kind: 'open'
      readonly dueAt: number
      readonly byHealth: boolean
      readonly stable: boolean
    }
  /** `pollAt`: when the health address is to be asked, or, once it is being asked, has failed to answer. */
  | { readonly kind: 'waiting'; readonly dueAt: number; readonly pollAt: number; readonly polling: boolean }
  | { readonly kind: 'closing'; readonly dueAt: number; readonly close: CloseInfo }

/** `idle | connecting | open | waiting | closing | closed | failed | disposed` */
export type ConnectionState = LineState['kind']

export type LineEvent =
  /** The app asks for a line now (or the constructor does). */
  | { readonly type: 'connect' }
  | { readonly type: 'opened' }
  /** The current socket ended, failed or could not be made, whichever came first. */
  | {
      readonly type: 'ended'
      readonly close: CloseInfo
      readonly error?: Error | undefined
      /** Whether anything but its end was heard from the other side since the line was open. */
      readonly heard?: boolean | undefined
      /** What the session has decided to follow; absent where there is none. */
      readonly decision?: CloseDecision | undefined
    }
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
  /** It took too long to open: end it, and come back with `ended`. */
  | { readonly do: 'expire'; readonly close: CloseInfo; readonly error: Error }
  /** Begin the closing handshake. */
  | { readonly do: 'closeSocket'; readonly code: number; readonly reason: string }
  /** Ask the health address; the answer comes back as `health`. */
  | { readonly do: 'poll' }
  | { readonly do: 'stopPoll' }
  /** The line has proved good. */
  | { readonly do: 'stable' }
  /** Tell the listeners, of the state that was; `announce`: what comes next, so after the state that is now. */
  | { readonly do: 'tell'; readonly name: 'error'; readonly event: Error }
  | { readonly do: 'tell'; readonly name: 'close'; readonly event: CloseInfo }
  | {
      readonly do: 'announce'
      readonly name: 'reconnecting'
      readonly event: { attempt: number; delay: number }
    }
  | {
      readonly do: 'announce'
      readonly name: 'max_reconnect_attempts'
      readonly event: { attempts: number }
    }

type EndedEvent = Extract<LineEvent, { type: 'ended' }>

export class ConnectionMachine {
  state: LineState = { kind: 'idle' }
  /** Automatic attempts since the last line that worked: manual ones do not count. */
  attempts = 0
  /** Lines in a row that worked, and were cut before they were stable. */
  youngDeaths = 0
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
    switch (event.type) {
      case 'connect':
        if (kind === 'connecting' || kind === 'open') return
        if (kind === 'closing') end(todo, { ...state.close, wasClean: false })
        if (kind !== 'waiting') {
          this.attempts = 0
          this.youngDeaths = 0
        }
        this.#attempt(now, todo, false)
        return
      case 'opened':
        if (kind !== 'connecting') return
        this.state = { ...state, kind: 'open', dueAt: now + this.#options.stableAfter, stable: false }
        return
      case 'ended':
        this.#ended(event, now, todo)
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
        const close = { code, reason, wasClean: kind !== 'connecting' }
        if (kind === 'open') {
          this.state = { kind: 'closing', close, dueAt: now + CLOSE_TIMEOUT_MS }
          todo.push({ do: 'closeSocket', code, reason })
        } else if (kind !== 'closing') {
          this.state = { kind: 'closed' }
          if (kind === 'connecting' || kind === 'waiting') end(todo, close)
        }
        return
      }
      case 'dispose':
        this.state = { kind: 'disposed' }
        // A close frame, if it still goes out, spares the server from taking this for a broken line.
        if (kind === 'open') todo.push({ do: 'closeSocket', code: 1000, reason: '' })
        if (kind === 'connecting' || kind === 'open' || kind === 'closing') {
          end(todo, { code: 1000, reason: 'disposed', wasClean: false })
        }
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

  #ended(event: EndedEvent, now: number, todo: LineEffect[]): void {
    const { state } = this
    const { close, error } = event
    if (state.kind === 'closing') {
      this.state = { kind: 'closed' }
      end(todo, close, error)
    }
    if (state.kind !== 'connecting' && state.kind !== 'open') return
    todo.push({ do: 'drop' })
    if (error) todo.push({ do: 'tell', name: 'error', event: error })
    if (state.kind === 'open' && (state.stable || now >= state.dueAt)) this.#stable()
    // A line that was ended in order, with 1000, was not cut.
    else if (state.kind === 'open' && event.heard && close.code !== 1000) {
      this.#worked()
      this.youngDeaths += 1
    } else this.#healthMisled ||= state.byHealth
    const decision = this.#decide(event, now, todo)
    todo.push({ do: 'tell', name: 'close', event: close })
    if (decision.action === 'wait') {
      const { delayMs: delay } = decision
      const { healthUrl, healthInterval } = this.#options
      // A random phase: a fleet that lost its server at one instant must not come back in step.
      const pollAt = healthUrl === false ? Infinity : now + healthInterval * this.#random()
      this.state = { kind: 'waiting', dueAt: now + delay, pollAt, polling: false }
      const event = { attempt: this.attempts + 1, delay: Math.ceil(delay) }
      todo.push({ do: 'announce', name: 'reconnecting', event })
    } else if (decision.action === 'giveUp') {
      this.state = { kind: 'failed' }
      const event = { attempts: this.attempts }
      todo.push({ do: 'announce', name: 'max_reconnect_attempts', event })
    } else {
      this.state = { kind: decision.action === 'fail' ? 'failed' : 'closed' }
    }
  }

  #decide({ close, error, decision: of }: EndedEvent, now: number, todo: LineEffect[]): ReconnectDecision {
    const tell = (event: Error) => todo.push({ do: 'tell', name: 'error', event })
    let asked = this.#options.shouldReconnect !== undefined
    const { attempts, youngDeaths } = this
    const state = { now, attempts, youngDeaths, decision: of }
    let decision: ReconnectDecision
    try {
      decision = reconnectDecision(close, state, this.#options, this.#random)
    } catch (thrown) {
      // The app's shouldReconnect threw: then what holds without it.
      tell(toError(thrown))
      asked = false
      const options = { ...this.#options, shouldReconnect: undefined }
      decision = reconnectDecision(close, state, options, this.#random)
    }
    if (close.code === 1000 && decision.action === 'stop' && !asked && !error) tell(closedByServer(close))
    return decision
  }

  /** The series of failed attempts is over. */
  #worked(): void {
    this.attempts = 0
    this.#healthMisled = false
  }

  #stable(): void {
    this.#worked()
    this.youngDeaths = 0
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
        todo.push({ do: 'expire', close: { code: 1006, reason: 'connect timeout', wasClean: false }, error })
        return
      }
      case 'open':
        this.#stable()
        this.state = { kind: 'open', dueAt: Infinity, byHealth: false, stable: true }
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
        this.#ended({ type: 'ended', close: { ...state.close, wasClean: false }, error }, now, todo)
      }
    }
  }
}

/** Whatever there is of a socket or an attempt is over; listeners are told. */
function end(todo: LineEffect[], close: CloseInfo, error?: Error): void {
  todo.push({ do: 'drop' })
  if (error) todo.push({ do: 'tell', name: 'error', event: error })
  todo.push({ do: 'tell', name: 'close', event: close })
}

/** A server that merely returns closes with 1000, too: the app has to learn that nothing more will come. */
function closedByServer({ reason }: CloseInfo): CommsError {
  const why = reason && ` (${reason})`
  const message = `the server closed the connection with 1000${why}: it stays closed until connect(), unless shouldReconnect says otherwise`
  return new CommsError(message, { code: 'CLOSED_BY_SERVER' })
}

/** What the app's functions throw may be anything. */
export function toError(error: unknown): Error {
  return error instanceof Error ? error : new CommsError(String(error), { code: 'CONNECTION' })
}
