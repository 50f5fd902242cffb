// The options of a connection: what they mean, their defaults, and what is accepted.

import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import {
  callable,
  checkOption,
  checkOptions,
  clockRule,
  count,
  delay,
  duration,
  flag,
  interval,
  limit,
  loggerRule,
  optionError,
  type Rule,
  type Rules,
  share,
  withDefaults,
} from '../core/options.ts'
import { type Random, systemRandom } from '../core/random.ts'
import { systemClock } from '../core/systemClock.ts'
import type { OutboxStore } from '../session/store.ts'
import { byteLength } from './encoding.ts'
import type { SendOptions } from './messageLayer.ts'
import { type ProtocolMemory, sharedMemory } from './protocolMemory.ts'
import type { CloseInfo } from './reconnect.ts'
import type { Overflow } from './sendQueue.ts'
import { type DeriveStatus, deriveStatus } from './status.ts'
import { toWebSocketUrl } from './url.ts'

/** The part of the browser's WebSocket interface that a class given as `WebSocket` must have. */
export interface WebSocketLike {
  readonly readyState: number
  readonly bufferedAmount: number
  /** The subprotocol that the server selected; only sessions ask for one. */
  readonly protocol?: string
  binaryType: string
  onopen: ((event: never) => void) | null
  onmessage: ((event: never) => void) | null
  onerror: ((event: never) => void) | null
  onclose: ((event: never) => void) | null
  send(data: string | ArrayBuffer | ArrayBufferView<ArrayBuffer>): void
  close(code?: number, reason?: string): void
}

export type WebSocketClass = new (url: string, protocols?: string | string[]) => WebSocketLike

/** A value, or a function that gives it (or a promise of it), asked anew at every attempt. */
export type Provider<T> = T | (() => T | PromiseLike<T>)

export interface ConnectionOptions {
  /** Where to connect: `ws:`, `wss:`, `http:` (taken as ws) or `https:` (as wss). */
  url: Provider<string | URL>
  /** Sent as `Authorization: Bearer ...` in Node. Browsers cannot send it without a session; it is never put into a URL. */
  token?: Provider<string | undefined> | undefined
  /** Milliseconds before the first reconnection attempt, at most; doubles per attempt up to 30 s. @default 2000 */
  reconnectDelay?: number | undefined
  /** 0 to 1: how much of the delay chance may take away. @default 0.75 */
  jitter?: number | undefined
  /** Automatic attempts before it gives up; they count anew after a line that worked. @default Infinity */
  maxReconnectAttempts?: number | undefined
  /**
   * Whether to reconnect: asked about every close that the app did not ask for. A decision only: it should not act on the connection.
   * If it throws, that is reported and the default holds. @default every code but 1000
   */
  shouldReconnect?: ((close: CloseInfo) => boolean) | undefined
  /** Milliseconds an attempt may take, providers included. @default 10000 */
  connectTimeout?: number | undefined
  /** Milliseconds after which an open line counts as a success even if nothing was heard on it. @default 5000 */
  stableAfter?: number | undefined
  /** Milliseconds from ping to ping; `Infinity` for no heartbeat at all. @default 30000 */
  pingInterval?: number | undefined
  /** Milliseconds of silence after a ping that mean a dead line. @default 10000 */
  pongTimeout?: number | undefined
  /**
   * The ping of the app's own kind: an object (sent as JSON), a text, or a function that returns one; `false` for none.
   * Default: `{"type":"ping","timestamp":...}` where the platform has no protocol ping (browsers), none in Node.
   */
  pingMessage?: object | string | (() => object | string) | false | undefined
  /** Milliseconds between two questions to `healthUrl` while the line is down. @default 5000 */
  healthInterval?: number | undefined
  /** Asked while down: a path on the HTTP origin of `url`, or a whole URL; `false` for none. @default '/v1/health' */
  healthUrl?: string | false | undefined
  /** Messages that may wait for the line. @default 10000 */
  maxQueueMessages?: number | undefined
  /** Payload bytes that may wait. @default 16 MiB */
  maxQueueBytes?: number | undefined
  /** Milliseconds a message may wait. @default Infinity */
  maxQueueAge?: number | undefined
  /** What gives way when the queue is full: the oldest, the new one, or `send` throws `QUEUE_FULL`. @default 'drop-oldest' */
  overflow?: Overflow | undefined
  /**
   * Lossless sessions (guru.v1, see PROTOCOL.md). `required` insists on a server that speaks it; `auto` tries, and falls back to a
   * plain line where nobody does. @default 'off'
   */
  session?: 'off' | 'auto' | 'required' | undefined
  /**
   * What becomes of messages in doubt when a session is lost: `report` leaves them to the app (event `sessionLost`), `resend` sends
   * them first in the next session, so that they may be handled twice. @default 'report'
   */
  onSessionLost?: 'report' | 'resend' | undefined
  /** Milliseconds that a session should outlive its connection; the server may grant less. @default what the server grants */
  sessionTtl?: number | undefined
  /** Milliseconds a handler may take in session mode; one that takes longer is reported and counts as settled. @default 300000 */
  handlerTimeout?: number | undefined
  /**
   * What servers were found to speak, for `auto`: an object with `get(place)` and `set(place, 'session' | 'plain')`, a Map for one.
   * 'plain' is remembered of a server only that was offered guru.v1 and answered without it, or refused it and then took a plain
   * line. @default one for all connections of this process or page, of the 1000 places it was told of last
   */
  protocolMemory?: ProtocolMemory | undefined
  /** Where a session's messages survive the process: see `guru-comms/storage/...`. @default memory */
  storage?: OutboxStore | undefined
  /** How `streamAudio` sends: binary frames, or `{type: 'audio', data: base64}`. @default 'binary' */
  audioFormat?: 'binary' | 'base64' | undefined
  /** The largest message taken from the server, in bytes (Node; browsers set their own limit). @default 16 MiB */
  maxPayload?: number | undefined
  /** A class with the browser's interface to use instead of the platform's own. */
  WebSocket?: WebSocketClass | undefined
  /** Replaces the function that derives `status` from the traffic. */
  deriveStatus?: DeriveStatus | undefined
  /** Connect without being asked. @default true */
  autoConnect?: boolean | undefined
  /** Write to `logger` what happens. @default false */
  enableLogging?: boolean | undefined
  /** @default console */
  logger?: Logger | undefined
  /** Let the process end although the connection is open or trying (Node). @default false */
  unref?: boolean | undefined
  /** The source of time. */
  clock?: Clock | undefined
  /** The source of chance. */
  random?: Random | undefined
}

/** Every option with its value. */
export interface ResolvedConnectionOptions {
  url: Provider<string | URL>
  token: Provider<string | undefined> | undefined
  reconnectDelay: number
  jitter: number
  maxReconnectAttempts: number
  shouldReconnect: ((close: CloseInfo) => boolean) | undefined
  connectTimeout: number
  stableAfter: number
  pingInterval: number
  pongTimeout: number
  pingMessage: ConnectionOptions['pingMessage']
  healthInterval: number
  healthUrl: string | false
  maxQueueMessages: number
  maxQueueBytes: number
  maxQueueAge: number
  overflow: Overflow
  session: 'off' | 'auto' | 'required'
  onSessionLost: 'report' | 'resend'
  sessionTtl: number
  handlerTimeout: number
  storage: OutboxStore | undefined
  protocolMemory: ProtocolMemory
  audioFormat: 'binary' | 'base64'
  maxPayload: number
  WebSocket: WebSocketClass | undefined
  deriveStatus: DeriveStatus
  autoConnect: boolean
  enableLogging: boolean
  unref: boolean
  logger: Logger
  clock: Clock
  random: Random
}

/** What an option is when it is not given: without one here, `undefined`. */
const connectionDefaults: Partial<ResolvedConnectionOptions> = {
  reconnectDelay: 2000,
  jitter: 0.75,
  maxReconnectAttempts: Infinity,
  connectTimeout: 10_000,
  stableAfter: 5000,
  pingInterval: 30_000,
  pongTimeout: 10_000,
  healthInterval: 5000,
  healthUrl: '/v1/health',
  maxQueueMessages: 10_000,
  maxQueueBytes: 16_777_216,
  maxQueueAge: Infinity,
  overflow: 'drop-oldest',
  session: 'off',
  onSessionLost: 'report',
  sessionTtl: 0,
  handlerTimeout: 300_000,
  protocolMemory: sharedMemory,
  audioFormat: 'binary',
  maxPayload: 16_777_216,
  deriveStatus,
  autoConnect: true,
  enableLogging: false,
  unref: false,
  logger: console,
  clock: systemClock,
  random: systemRandom,
}

const urlLike: Rule = {
  expected: 'a URL or a function that returns one',
  accepts: (value) => typeof value === 'string' || value instanceof URL || typeof value === 'function',
}

export const connectionRules: Rules<ConnectionOptions> = {
  url: urlLike,
  token: 'a string or a function',
  reconnectDelay: delay,
  jitter: share,
  maxReconnectAttempts: count,
  shouldReconnect: callable,
  connectTimeout: limit,
  stableAfter: duration,
  pingInterval: limit,
  pongTimeout: limit,
  pingMessage: 'an object or a string or a function or false',
  healthInterval: interval,
  healthUrl: 'a string or false',
  maxQueueMessages: count,
  maxQueueBytes: count,
  maxQueueAge: duration,
  overflow: '"drop-oldest" or "drop-newest" or "reject"',
  session: '"off" or "auto" or "required"',
  onSessionLost: '"report" or "resend"',
  sessionTtl: duration,
  handlerTimeout: limit,
  protocolMemory: 'an object with get, set',
  storage: 'an object with load, write, close',
  audioFormat: '"binary" or "base64"',
  maxPayload: 'a whole number of bytes from 1 to 2147483647',
  WebSocket: callable,
  deriveStatus: callable,
  autoConnect: flag,
  enableLogging: flag,
  logger: loggerRule,
  unref: flag,
  clock: clockRule,
  random: callable,
}

/** What a close frame may carry (RFC 6455 section 7.4.2, and the WebSocket interface). */
export const closeCodeRule = '1000 or a whole number from 3000 to 4999'
export const closeReasonRule: Rule = {
  expected: 'a string of at most 123 bytes',
  accepts: (reason) => typeof reason === 'string' && byteLength(reason) <= 123,
}

/** The stream of a binary message. */
export const streamRule = 'a whole number from 0 to 255'
export const sendRules: Rules<SendOptions> = {
  volatile: flag,
  priority: `a whole number from ${Number.MIN_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}`,
  ttl: duration,
  stream: streamRule,
}

const OWNER = 'GuruConnection'

/**
 * Checks one option on its own.
 * @throws TypeError or RangeError (`code: 'INVALID_OPTION'`)
 */
export function checkConnectionOption(name: keyof ConnectionOptions, value: unknown): void {
  checkOption(OWNER, name, value, connectionRules[name])
  if (name === 'url' && typeof value !== 'function') toWebSocketUrl(value)
}

/**
 * Checks the options and fills in the defaults.
 * @throws TypeError or RangeError (`code: 'INVALID_OPTION'`)
 */
export function resolveConnectionOptions(options: ConnectionOptions): ResolvedConnectionOptions {
  checkOptions(OWNER, options, { ...connectionRules })
  checkConnectionOption('url', options.url)
  const resolved = withDefaults(connectionDefaults, options) as ResolvedConnectionOptions
  // Without a session nothing would ever be recorded, and nobody would notice until it is missing.
  if (resolved.storage && resolved.session === 'off')
    throw optionError(OWNER, 'storage', 'needs "session" to be "auto" or "required"', options.storage)
  return resolved
}
