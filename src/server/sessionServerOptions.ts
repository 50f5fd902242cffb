// The options of a session server: meaning, defaults, checks.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import {
  callable,
  checkOptions,
  clockRule,
  delay,
  duration,
  interval,
  listOf,
  loggerRule,
  numberRule,
  objectWith,
  oneOf,
  positive,
  positiveCount,
  type Resolved,
  type Rules,
  text,
  withDefaults,
} from '../core/options.ts'
import { systemRandom } from '../core/random.ts'
import { systemClock } from '../core/systemClock.ts'
import { backlogDefaults, windowDefaults } from '../session/limits.ts'
import type { SessionStore } from '../session/store.ts'
import { callNow, guardLogger, kindOf } from './guard.ts'

/** Whom a connection speaks for: two equal names are the same. */
export type SessionPrincipal = string

export interface SessionServerOptions {
  /** Where sessions are recorded, so that they outlive the process. It stays yours to close. @default memory only */
  store?: SessionStore | undefined
  /**
   * Who is at the other end, as a string; `undefined`, a throw, and whatever is no string or an empty one close with 4401. `auth` is the token of the first frame,
   * else the bearer token of the request's `Authorization`; it is never logged. A session belongs to the principal that
   * opened it. @default everyone, by the empty name
   */
  authenticate?:
    | ((
        request: IncomingMessage,
        auth: string | undefined,
      ) => SessionPrincipal | undefined | Promise<SessionPrincipal | undefined>)
    | undefined
  /** `authenticate` must have answered after so long, in milliseconds. @default 10000 */
  authenticateTimeout?: number | undefined
  /** Origins whose pages may connect, beside those of the same host. Requests without an `Origin` come from no page. */
  allowedOrigins?: readonly string[] | undefined
  /** Names that requests may be addressed to, without port. @default this machine's while the server listens on loopback, else any */
  allowedHosts?: readonly string[] | undefined
  /** Takes upgrades that do not offer guru.v1. @default they are refused with 400 */
  plain?: ((request: IncomingMessage, socket: Duplex, head: Buffer) => void) | undefined
  /** The address that is counted, where a proxy stands in front. @default the socket's */
  addressOf?: ((request: IncomingMessage) => string) | undefined
  /** Messages of one session that may be unacknowledged, each way. @default 1024 */
  maxMessages?: number | undefined
  /** Their payload bytes together, each way. @default 4 MiB */
  maxBytes?: number | undefined
  /** Payload bytes of one message, not above `maxBytes`. @default 1 MiB */
  maxFrame?: number | undefined
  /** Messages of one session that may wait behind its window. @default 10000 */
  maxQueueMessages?: number | undefined
  /** Their payload bytes together. @default 16 MiB */
  maxQueueBytes?: number | undefined
  /** What gives way when that is full. @default 'drop-oldest' */
  overflow?: 'drop-oldest' | 'drop-newest' | 'reject' | undefined
  /** Payload bytes that all sessions may keep for their clients; beyond, sends and new sessions are refused. @default 256 MiB */
  maxTotalQueueBytes?: number | undefined
  /**
   * What all connections together may make the server hold in sockets: what they do not read, and messages that have not come
   * whole; small things at what they cost. Beyond it whoever holds most is closed. @default 256 MiB
   */
  maxTotalBufferedBytes?: number | undefined
  /** Pings, pongs and the like that a connection may send per second, in bursts of twice as many; beyond it is cut. @default 100 */
  controlsPerSecond?: number | undefined
  /** @default 10000 */
  maxSessions?: number | undefined
  /** Sessions of one principal; without `authenticate`, of one address. @default 100 */
  maxSessionsPerPrincipal?: number | undefined
  /** @default 10000 */
  maxConnections?: number | undefined
  /** @default 1000 */
  maxConnectionsPerAddress?: number | undefined
  /** A handler that has not settled after so long is reported and counts as settled, in milliseconds. @default 300000; `Infinity` for never */
  handlerTimeout?: number | undefined
  /**
   * With a store that several processes share: when another process asks for a session, its handlers have so long to settle, in
   * milliseconds; those that have not begin again there, flagged as redelivered. @default 2000
   */
  handoverTimeout?: number | undefined
  /** A session outlives its connection so long, in milliseconds, unless its client wishes for less. @default 300000 */
  ttl?: number | undefined
  /** How often clients are asked to ping, in milliseconds. @default 30000; `Infinity` for never */
  pingInterval?: number | undefined
  /** Silence of so long after a ping of ours means a dead connection, in milliseconds. @default 10000 */
  pongTimeout?: number | undefined
  /** Where it says what went wrong, when no listener of `error` hears it. Never told keys or tokens. @default nowhere */
  logger?: Logger | undefined
  clock?: Clock | undefined
  /** Spreads what must not happen at once: 0 to 1. @default Math.random */
  random?: (() => number) | undefined
}

type Optional = 'store' | 'authenticate' | 'allowedHosts' | 'plain' | 'logger'

export type ResolvedSessionServerOptions = Resolved<Omit<SessionServerOptions, Optional>> & {
  [Name in Optional]: SessionServerOptions[Name] | undefined
}

export const sessionServerDefaults: ResolvedSessionServerOptions = {
  store: undefined,
  authenticate: undefined,
  authenticateTimeout: 10_000,
  allowedOrigins: [],
  allowedHosts: undefined,
  plain: undefined,
  addressOf: (request) => request.socket.remoteAddress ?? '',
  ...windowDefaults,
  ...backlogDefaults,
  maxTotalQueueBytes: 256 * 2 ** 20,
  maxTotalBufferedBytes: 256 * 2 ** 20,
  controlsPerSecond: 100,
  maxSessions: 10_000,
  maxSessionsPerPrincipal: 100,
  maxConnections: 10_000,
  maxConnectionsPerAddress: 1000,
  handlerTimeout: 300_000,
  handoverTimeout: 2000,
  ttl: 300_000,
  pingInterval: 30_000,
  pongTimeout: 10_000,
  logger: undefined,
  clock: systemClock,
  random: systemRandom,
}

const bytes = numberRule(1, 2 ** 30, 'bytes', true)
const manyBytes = numberRule(0, Infinity, 'bytes', true)
const count = numberRule(1, 2 ** 20, '', true)
const long = numberRule(1, Infinity, 'milliseconds')

const rules: Rules<SessionServerOptions> = {
  store: objectWith('find', 'write', 'list'),
  authenticate: callable,
  authenticateTimeout: interval,
  allowedOrigins: listOf(text),
  allowedHosts: listOf(text),
  plain: callable,
  addressOf: callable,
  maxMessages: count,
  maxBytes: bytes,
  maxFrame: bytes,
  maxQueueMessages: numberRule(0, Infinity, '', true),
  maxQueueBytes: manyBytes,
  overflow: oneOf('drop-oldest', 'drop-newest', 'reject'),
  maxTotalQueueBytes: manyBytes,
  maxTotalBufferedBytes: numberRule(1, Infinity, 'bytes', true),
  controlsPerSecond: positive,
  maxSessions: positiveCount,
  maxSessionsPerPrincipal: positiveCount,
  maxConnections: positiveCount,
  maxConnectionsPerAddress: positiveCount,
  handlerTimeout: long,
  handoverTimeout: delay,
  ttl: numberRule(0, 2 ** 48, 'milliseconds'),
  pingInterval: long,
  pongTimeout: interval,
  logger: loggerRule,
  clock: clockRule,
  random: callable,
}

/** @throws TypeError or RangeError naming the option */
export function resolveSessionServerOptions(options: SessionServerOptions): ResolvedSessionServerOptions {
  checkOptions('SessionServer', options, rules)
  const resolved = fenced(withDefaults(sessionServerDefaults, options))
  const { maxFrame, maxBytes } = resolved
  if (maxFrame <= maxBytes) return resolved
  throw Object.assign(
    new RangeError(
      `SessionServer: option "maxFrame" must be at most "maxBytes" (${maxBytes}), got ${maxFrame}`,
    ),
    { code: 'INVALID_OPTION', option: 'maxFrame' },
  )
}

/** The app's callbacks that a stranger's connection reaches: what goes wrong in them is the affair of that connection. */
function fenced(options: ResolvedSessionServerOptions): ResolvedSessionServerOptions {
  const { addressOf, plain } = options
  const logger = guardLogger(options.logger)
  return {
    ...options,
    logger,
    addressOf(request) {
      const called = callNow(
        () => addressOf(request),
        () => {},
      )
      if (called.ok && typeof called.value === 'string') return called.value
      const fault = called.ok ? `gave ${kindOf(called.value)}` : called.error
      logger?.error('addressOf must give a string; the address of the socket counts in its place:', fault)
      return sessionServerDefaults.addressOf(request)
    },
    plain:
      plain &&
      ((request, socket, head) => {
        const failed = (error: unknown) => {
          logger?.error('plain failed:', error)
          socket.destroy()
        }
        const called = callNow(() => plain(request, socket, head), failed)
        if (!called.ok) failed(called.error)
      }),
  }
}

/** How one message is sent. */
export interface SessionSendOptions {
  /** Now or never: not kept, not numbered, not sent again, dropped where there is no connection with room. @default false */
  volatile?: boolean | undefined
  /** A whole number; higher ones go first, among those that wait. @default 0 */
  priority?: number | undefined
  /** Milliseconds after which it is dropped if it still waits. @default Infinity */
  ttl?: number | undefined
  /** 0 to 255: the stream of a binary message. @default 0 */
  stream?: number | undefined
}

const sendRules: Rules<SessionSendOptions> = {
  volatile: { expected: 'true or false', accepts: (value) => typeof value === 'boolean' },
  priority: numberRule(-(2 ** 31), 2 ** 31, '', true),
  ttl: duration,
  stream: numberRule(0, 255, '', true),
}

/** @throws TypeError or RangeError naming the option */
export function checkSendOptions(options: SessionSendOptions): void {
  checkOptions('send', options, sendRules)
}

export interface AttachOptions {
  /** The path of the WebSocket. @default '/ws' */
  path?: string | undefined
}

const attachRules: Rules<AttachOptions> = { path: text }

/** @throws TypeError naming the option */
export function checkAttachOptions(options: AttachOptions): void {
  checkOptions('attach', options, attachRules)
}

export interface DrainOptions {
  /** Clients leave at random moments within so many milliseconds. @default 10000 */
  spreadMs?: number | undefined
  /** Told to them. @default 'going away' */
  why?: string | undefined
}

const drainRules: Rules<DrainOptions> = { spreadMs: numberRule(0, 3_600_000, 'milliseconds'), why: text }

/** @throws TypeError or RangeError naming the option */
export function checkDrainOptions(options: DrainOptions): void {
  checkOptions('drain', options, drainRules)
}
