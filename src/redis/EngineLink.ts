// Calls to the engine for the session store: counted, and failures by the names that a store's failures have.

import type { Clock } from '../core/clock.ts'
import { StorageError, type StorageReason } from '../storage/StorageError.ts'
import { EngineCalls } from './EngineCalls.ts'
import { type EngineReason, engineError, isEngineError } from './EngineError.ts'
import type { RedisArgument, RedisEngine, RedisReply } from './RedisEngine.ts'
import type { Script } from './Script.ts'

/** What calls have come to, since the store was made. */
export interface LinkCounts {
  /** Scripts and commands that were sent. */
  calls: number
  /** Of them, those that failed or were not answered in time. */
  failures: number
  /** Milliseconds of the latest answered call. */
  lastMs: number
  /** Milliseconds of all answered calls together. */
  totalMs: number
}

const REASONS: Partial<Record<EngineReason, StorageReason>> = { full: 'full', readOnly: 'readOnly' }

/** Trying the same again is of no use: somebody has to change something. */
const HOPELESS: ReadonlySet<EngineReason> = new Set(['authentication', 'permission', 'version', 'command'])

const WHAT = 'redisSessionStore'

export class EngineLink {
  readonly counts: LinkCounts = { calls: 0, failures: 0, lastMs: 0, totalMs: 0 }
  readonly #calls: EngineCalls
  readonly #clock: Clock

  constructor(engine: RedisEngine, clock: Clock, timeoutMs: number) {
    this.#calls = new EngineCalls(engine, { what: WHAT, timeout: timeoutMs, clock })
    this.#clock = clock
  }

  /** Looks once whether the engine is new enough. @throws StorageError */
  async checkVersion(): Promise<void> {
    try {
      await this.#calls.checkVersion()
    } catch (error) {
      throw toStorageError(error)
    }
  }

  /** @throws StorageError */
  run(script: Script, keys: readonly string[], args: readonly RedisArgument[]): Promise<RedisReply> {
    return this.#count(this.#calls.run(script, keys, args))
  }

  /** @throws StorageError */
  command(args: readonly RedisArgument[], key?: string): Promise<RedisReply> {
    return this.#count(this.#calls.command(args, key))
  }

  /** Listens to a channel; goes on trying while the engine is away. @throws StorageError when it refuses */
  async subscribe(
    channel: string,
    onMessage: (message: Uint8Array) => void,
    onGap: () => void,
  ): Promise<() => Promise<void>> {
    try {
      return await this.#calls.subscribe(channel, onMessage, onGap)
    } catch (error) {
      throw toStorageError(error)
    }
  }

  async #count(call: Promise<RedisReply>): Promise<RedisReply> {
    const { counts } = this
    counts.calls += 1
    const began = this.#clock.now()
    try {
      const reply = await call
      counts.lastMs = this.#clock.now() - began
      counts.totalMs += counts.lastMs
      return reply
    } catch (error) {
      counts.failures += 1
      throw toStorageError(error)
    }
  }
}

/** Whether trying the same again is of no use. */
export function isHopeless(error: unknown): boolean {
  const { cause } = (error ?? {}) as { cause?: unknown }
  return isEngineError(cause) && HOPELESS.has(cause.reason)
}

function toStorageError(error: unknown): StorageError {
  const cause = engineError(error, WHAT)
  return new StorageError(cause.message, { reason: REASONS[cause.reason] ?? 'unavailable', cause })
}
