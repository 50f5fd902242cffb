// The options of replies: meaning, defaults, checks.

import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import {
  checkOptions,
  clockRule,
  flag,
  interval,
  loggerRule,
  numberRule,
  objectWith,
  positiveCount,
  type Rules,
  withDefaults,
} from '../core/options.ts'
import { systemClock } from '../core/systemClock.ts'
import type { LogStore } from './LogStore.ts'
import { MemoryLogStore } from './MemoryLogStore.ts'

export interface RepliesOptions {
  /** Where they are kept. @default memory */
  store?: LogStore | undefined
  /** The path that they have over HTTP, without a slash at the end. @default '/v1/replies' */
  path?: string | undefined
  /**
   * Milliseconds that a reply lives after it was last written or read.
   * @default 86400000 (a day)
   */
  ttlMs?: number | undefined
  /**
   * Milliseconds that a producer may say nothing, dead or cut off, before its readers hear of
   * `interrupted`. It says by itself that it lives. @default 15000
   */
  leaseMs?: number | undefined
  /** Replies in all; no more are begun. @default 10000 */
  maxReplies?: number | undefined
  /** Replies of one owner. @default 1000 */
  maxRepliesPerOwner?: number | undefined
  /** Bytes of one reply. @default 16 MiB */
  maxReplyBytes?: number | undefined
  /** The largest body that is taken over HTTP, in bytes. @default 1 MiB */
  maxBodyBytes?: number | undefined
  /** Readers of one principal that may wait at a time over HTTP. @default 100 */
  maxReaders?: number | undefined
  /** Milliseconds that a long poll waits for news. @default 25000 */
  longPollMs?: number | undefined
  /**
   * Milliseconds after which a stream of events ends, and its reader comes back.
   * @default 60000
   */
  sseMs?: number | undefined
  /**
   * Whether principals may make and write streams of their own over HTTP, as a worker in another
   * language does.
   * @default true
   */
  writable?: boolean | undefined
  /** Where it says what went wrong. @default nowhere */
  logger?: Logger | undefined
  clock?: Clock | undefined
}

export interface ResolvedRepliesOptions {
  readonly store: LogStore
  readonly path: string
  readonly ttlMs: number
  readonly leaseMs: number
  readonly maxReplies: number
  readonly maxRepliesPerOwner: number
  readonly maxReplyBytes: number
  readonly maxBodyBytes: number
  readonly maxReaders: number
  readonly longPollMs: number
  readonly sseMs: number
  readonly writable: boolean
  readonly logger: Logger | undefined
  readonly clock: Clock
}

const bytes = numberRule(1, 2 ** 31 - 1, 'bytes', true)

const rules: Rules<RepliesOptions> = {
  store: objectWith('transact', 'read', 'list', 'close'),
  path: {
    expected: 'a path such as "/v1/replies", without a slash at the end',
    accepts: (path) => typeof path === 'string' && /^(?:\/[\w.~-]+)+$/.test(path),
  },
  ttlMs: interval,
  leaseMs: interval,
  maxReplies: positiveCount,
  maxRepliesPerOwner: positiveCount,
  maxReplyBytes: bytes,
  maxBodyBytes: bytes,
  maxReaders: positiveCount,
  longPollMs: interval,
  sseMs: interval,
  writable: flag,
  logger: loggerRule,
  clock: clockRule,
}

/** @throws TypeError or RangeError naming the option */
export function resolveRepliesOptions(options: RepliesOptions): ResolvedRepliesOptions {
  checkOptions('replies', options, rules)
  const defaults = {
    path: '/v1/replies',
    ttlMs: 86_400_000,
    leaseMs: 15_000,
    maxReplies: 10_000,
    maxRepliesPerOwner: 1000,
    maxReplyBytes: 16 * 2 ** 20,
    maxBodyBytes: 2 ** 20,
    maxReaders: 100,
    longPollMs: 25_000,
    sseMs: 60_000,
    writable: true,
    clock: systemClock,
  }
  return withDefaults<ResolvedRepliesOptions>(
    { ...defaults, logger: undefined, store: options.store ?? new MemoryLogStore() },
    options,
  )
}
