// One request about a log, what answering it takes, and how it is refused.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../../core/clock.ts'
import type { Random } from '../../core/random.ts'
import type { Logs } from '../Logs.ts'
import type { LogHead } from '../log.ts'

/** What somebody wants to do with a log. */
export type LogAction = 'create' | 'read' | 'append' | 'remove'

export interface LogRoutesOptions {
  readonly logs: Logs
  /** Where they are, without a slash at the end. */
  readonly path: string
  readonly clock: Clock
  readonly random: Random
  /** The largest body, in bytes. */
  readonly maxBodyBytes: number
  /** How long a reader waits for news, in milliseconds. */
  readonly longPollMs: number
  /** How long a stream of events lasts before its reader has to come back, in milliseconds. */
  readonly sseMs: number
  /** Readers that may wait at a time, of one principal. */
  readonly maxReaders: number
  /** Whether somebody may; asked for `create` without a log. */
  readonly allows: (principal: string, action: LogAction, head: LogHead | undefined) => boolean
  /** A reader closes what is written by the server's own code: it is stopped. */
  readonly stop: (head: LogHead) => Promise<boolean>
}

/** One request, and what answering it takes. */
export interface LogRequest {
  readonly routes: LogRoutesOptions
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly principal: string
  /** Of the log. */
  readonly path: string
  readonly query: URLSearchParams
  /** Counts a waiting reader in; `undefined` when there are too many, else what counts it out. */
  readonly enterReader: () => (() => void) | undefined
}

const SEGMENT = /^(?:[\w.~!$'()*+,;:@-]|%[0-9A-Fa-f]{2})+$/
const MAX_PATH = 1024
/** Kept for control interfaces of the protocol. */
const RESERVED = '__ds'

/** What is wrong with the path of a log, if anything is. */
export function pathFault(base: string, path: string): { status: number; reason: string } | undefined {
  const segments = path.startsWith(`${base}/`) ? path.slice(base.length + 1).split('/') : []
  if (segments[0] === RESERVED) return { status: 501, reason: 'subscriptions are not served here' }
  const fits = segments.length > 0 && segments.every((one) => SEGMENT.test(one) && !/^\.{1,2}$/.test(one))
  if (fits && path.length <= MAX_PATH) return undefined
  return { status: 400, reason: `a path below ${base}/ of at most ${MAX_PATH} characters is expected` }
}

/** Answers that it is not to be. */
export function refuse(
  response: ServerResponse,
  status: number,
  reason: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = JSON.stringify({ error: reason })
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...headers,
  })
  response.end(body)
}

/** What is not there, or not for this principal: both look alike. */
export function refuseMissing(response: ServerResponse): void {
  refuse(response, 404, 'there is no such stream')
}

export function refuseRemoved(response: ServerResponse): void {
  refuse(response, 410, 'the stream has been removed')
}
