// The options of the session store: meaning, defaults, checks.

import type { Clock } from '../core/clock.ts'
import {
  checkOption,
  checkOptions,
  clockRule,
  interval,
  numberRule,
  type Rules,
  text,
  withDefaults,
} from '../core/options.ts'
import type { Random } from '../core/random.ts'
import { systemRandom } from '../core/random.ts'
import { systemClock } from '../core/systemClock.ts'
import { engineRule } from './EngineCalls.ts'
import type { RedisEngine } from './RedisEngine.ts'

export interface RedisSessionStoreOptions {
  /** The engine, over a client of yours: `fromIoredis(client)` and kin. It stays yours to close. */
  engine: RedisEngine
  /** Begins all keys and channels: apps on one engine have different ones. @default 'guru:' */
  prefix?: string
  /**
   * A process that the engine has not heard from for so long has lost its sessions to the others, in milliseconds. Shorter: a dead
   * process is replaced sooner. Longer: an engine that is away, or a process that stands still, does less harm. @default 10000
   */
  lease?: number
  /**
   * The engine forgets a session that nobody owns after its `ttl` and so much more, in milliseconds: the time that some
   * process has to take it up and to say that it has expired. @default 120000
   */
  keep?: number
  /** The engine must have answered after so long, in milliseconds. @default 5000 */
  timeout?: number
  /** While the engine is full, a write waits so long for room before the session is given up, in milliseconds. @default 2000 */
  patience?: number
  /** Messages that other processes may leave for one session before its owner takes them. @default 10000 */
  maxPosted?: number
  /** Their bytes. @default 16 MiB */
  maxPostedBytes?: number
  clock?: Clock
  /** Spreads what must not happen at once: 0 to 1. @default Math.random */
  random?: Random
}

export type StoreSettings = Required<RedisSessionStoreOptions>

const rules: Rules<RedisSessionStoreOptions> = {
  engine: engineRule,
  prefix: text,
  lease: numberRule(300, 3_600_000, 'milliseconds'),
  keep: numberRule(1000, 2 ** 40, 'milliseconds'),
  timeout: interval,
  patience: numberRule(0, 3_600_000, 'milliseconds'),
  maxPosted: numberRule(1, 2 ** 30, '', true),
  maxPostedBytes: numberRule(1, 2 ** 40, 'bytes', true),
  clock: clockRule,
  random: 'a function',
}

const defaults: Omit<StoreSettings, 'engine'> = {
  prefix: 'guru:',
  lease: 10_000,
  keep: 120_000,
  timeout: 5000,
  patience: 2000,
  maxPosted: 10_000,
  maxPostedBytes: 16 * 2 ** 20,
  clock: systemClock,
  random: systemRandom,
}

/** @throws TypeError or RangeError naming the option */
export function resolveStoreOptions(options: RedisSessionStoreOptions): StoreSettings {
  checkOptions('redisSessionStore', options, rules)
  // The one option without a default.
  checkOption('redisSessionStore', 'engine', options.engine, engineRule)
  return withDefaults<StoreSettings>({ ...defaults, engine: options.engine }, options)
}
