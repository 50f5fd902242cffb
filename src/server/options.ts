// The options of the reference backend: meaning, defaults, checks.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import {
  callable,
  checkOptions,
  clockRule,
  flag,
  interval,
  listOf,
  loggerRule,
  numberRule,
  objectWith,
  plainObject,
  positive,
  positiveCount,
  type Resolved,
  type Rules,
  text,
  withDefaults,
} from '../core/options.ts'
import { systemClock } from '../core/systemClock.ts'
import { Replies } from '../replies/Replies.ts'
import type { SessionStore } from '../session/store.ts'
import { guardLogger } from './guard.ts'
import { echoResponder, type Responder } from './responder.ts'

/** Who is at the other end, as `authenticate` says; two equal ones are the same. */
export type Principal = string

/** A model that the backend offers. */
export interface Model {
  id: string
  name?: string
}

export interface BackendOptions {
  /** The port to listen on; 0 for any free one. @default 8000 */
  port?: number | undefined
  /** The address to listen on. @default '127.0.0.1' */
  host?: string | undefined
  /** The assistant. @default one that says back what it heard */
  responder?: Responder | undefined
  /** Models that `GET /v1/models` lists. */
  models?: readonly Model[] | undefined
  /** Settings are kept in this file; without one they live as long as the process. */
  settingsFile?: string | undefined
  /**
   * Who may use it, as a string; `undefined`, a throw, and whatever is no string or an empty one answer 401, to a session
   * 4401. The token of a session's first frame stands in
   * `headers.authorization`, as those of requests do. @default everyone
   */
  authenticate?:
    | ((request: IncomingMessage) => Principal | undefined | Promise<Principal | undefined>)
    | undefined
  /** Origins whose pages may use it, beside those it serves itself. Requests without an `Origin` come from no page. */
  allowedOrigins?: readonly string[] | undefined
  /** Names that requests may be addressed to, without port. @default this machine's while `host` is loopback, else any */
  allowedHosts?: readonly string[] | undefined
  /**
   * Replies that outlive the line, served over HTTP under their path to who is authenticated. It is the app's to close them.
   * @default none
   */
  replies?: Replies | undefined
  /** Answers requests to other paths; returns whether it did. */
  onRequest?: ((request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>) | undefined
  /** Permits faults on demand through `POST /__faults`, from this machine only. @default false */
  faults?: boolean | undefined
  /** @default 1000 */
  maxConnections?: number | undefined
  /** @default 100 */
  maxConnectionsPerAddress?: number | undefined
  /** The largest WebSocket message, in bytes. @default 16 MiB: an image of 10 MB in base64 fits */
  maxPayload?: number | undefined
  /** The largest HTTP body, in bytes. @default 1 MiB */
  maxBodyBytes?: number | undefined
  /** What may wait in one socket for a slow reader, in bytes, each frame at what it costs (300 and its own); above, the connection is closed with 1013. @default 4 MiB */
  maxQueuedBytes?: number | undefined
  /**
   * What all connections together may make the backend hold: what they do not read, messages and bodies that have not come whole,
   * questions that wait; small things at what they cost. Beyond it whoever holds most is closed. @default 256 MiB
   */
  maxTotalBufferedBytes?: number | undefined
  /** Questions of one connection that may wait for their turn. @default 100 */
  maxQuestions?: number | undefined
  /** What these may hold together, in characters of text and base64. @default 32 MiB */
  maxQuestionBytes?: number | undefined
  /** A responder that gives nothing for so long is given up, in milliseconds. @default 120000; `Infinity` for never */
  answerTimeout?: number | undefined
  /**
   * Where lossless sessions are recorded, so that they outlive the process: a question whose answer was cut off by its end is
   * answered anew by the next. It stays yours to close. @default memory only
   */
  store?: SessionStore | undefined
  /** Messages a connection may send per second, audio included. @default 200, in bursts of twice as many */
  messagesPerSecond?: number | undefined
  /** A reader that takes nothing for so long is given up, in milliseconds. @default 30000 */
  writeTimeout?: number | undefined
  /** A request must be there, headers and body, after so long, in milliseconds. @default 30000 */
  requestTimeout?: number | undefined
  /** `authenticate` must have answered after so long, in milliseconds. @default 10000 */
  authenticateTimeout?: number | undefined
  /**
   * Whether clients should come here: asked at each `GET /v1/health`, which answers 503 when it returns or resolves to false, or fails.
   * A `store` that can say so for itself (`redisSessionStore`) is asked in any case. @default always
   */
  isReady?: (() => boolean | Promise<boolean>) | undefined
  /** How often each WebSocket is pinged, in milliseconds; silent from one to the next, it is ended. @default 30000; `Infinity` for never */
  pingInterval?: number | undefined
  /** Where it says what went wrong. @default nowhere */
  logger?: Logger | undefined
  clock?: Clock | undefined
}

export type ResolvedBackendOptions = Resolved<
  Omit<
    BackendOptions,
    | 'settingsFile'
    | 'authenticate'
    | 'allowedHosts'
    | 'replies'
    | 'onRequest'
    | 'store'
    | 'isReady'
    | 'logger'
  >
> & {
  settingsFile: string | undefined
  authenticate: BackendOptions['authenticate']
  allowedHosts: readonly string[] | undefined
  replies: Replies | undefined
  onRequest: BackendOptions['onRequest']
  store: BackendOptions['store']
  isReady: BackendOptions['isReady']
  logger: Logger | undefined
}

export const backendDefaults: ResolvedBackendOptions = {
  port: 8000,
  host: '127.0.0.1',
  responder: echoResponder,
  models: [{ id: 'echo', name: 'Says back what it heard' }],
  settingsFile: undefined,
  authenticate: undefined,
  allowedOrigins: [],
  allowedHosts: undefined,
  replies: undefined,
  onRequest: undefined,
  faults: false,
  maxConnections: 1000,
  maxConnectionsPerAddress: 100,
  maxPayload: 16 * 2 ** 20,
  maxBodyBytes: 2 ** 20,
  maxQueuedBytes: 4 * 2 ** 20,
  maxTotalBufferedBytes: 256 * 2 ** 20,
  maxQuestions: 100,
  maxQuestionBytes: 32 * 2 ** 20,
  answerTimeout: 120_000,
  store: undefined,
  isReady: undefined,
  messagesPerSecond: 200,
  writeTimeout: 30_000,
  requestTimeout: 30_000,
  authenticateTimeout: 10_000,
  pingInterval: 30_000,
  logger: undefined,
  clock: systemClock,
}

const bytes = numberRule(1, 2 ** 31 - 1, 'bytes', true)

const rules: Rules<BackendOptions> = {
  port: numberRule(0, 65_535, '', true),
  host: text,
  responder: objectWith('respond'),
  models: listOf(plainObject),
  settingsFile: text,
  authenticate: callable,
  allowedOrigins: listOf(text),
  allowedHosts: listOf(text),
  replies: { expected: 'Replies', accepts: (value) => value instanceof Replies },
  onRequest: callable,
  faults: flag,
  maxConnections: positiveCount,
  maxConnectionsPerAddress: positiveCount,
  maxPayload: bytes,
  maxBodyBytes: bytes,
  maxQueuedBytes: bytes,
  maxTotalBufferedBytes: numberRule(1, Infinity, 'bytes', true),
  maxQuestions: positiveCount,
  maxQuestionBytes: bytes,
  answerTimeout: numberRule(1, Infinity, 'milliseconds'),
  store: objectWith('find', 'write', 'list'),
  isReady: callable,
  messagesPerSecond: positive,
  writeTimeout: interval,
  requestTimeout: interval,
  authenticateTimeout: interval,
  pingInterval: numberRule(1, Infinity, 'milliseconds'),
  logger: loggerRule,
  clock: clockRule,
}

/** @throws TypeError or RangeError naming the option */
export function resolveBackendOptions(options: BackendOptions): ResolvedBackendOptions {
  checkOptions('createBackend', options, rules)
  const resolved = withDefaults(backendDefaults, options)
  return { ...resolved, logger: guardLogger(resolved.logger) }
}
