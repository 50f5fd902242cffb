// Calls to the engine for the session store: each has an end, and each failure a name that a program can decide on.

import { createHash } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { StorageError, type StorageReason } from '../storage/StorageError.ts'
import type { RedisArgument, RedisEngine, RedisReply } from './RedisEngine.ts'
import type { SessionScript } from './sessionScripts.ts'

/** What calls have come to, since the store was made. */
export interface EngineCalls {
  /** Scripts and commands that were sent. */
  calls: number
  /** Of them, those that failed or were not answered in time. */
  failures: number
  /** Milliseconds of the latest answered call. */
  lastMs: number
  /** Milliseconds of all answered calls together. */
  totalMs: number
}

/** What the engine says at the beginning of an error, and what it means here. */
const SAID: Readonly<Record<string, StorageReason>> = {
  OOM: 'full',
  READONLY: 'readOnly',
  MISCONF: 'readOnly',
  NOREPLICAS: 'readOnly',
}

const ADVICE: Partial<Record<StorageReason, string>> = {
  full: 'it is full (maxmemory): give it more memory, or fewer or shorter-lived sessions',
  readOnly: 'it takes no writes: is this a replica, or can it not write to its disk?',
  unavailable: 'it cannot be reached or does not answer in time',
}

/** Errors that mean it will never work, however often it is tried. */
const HOPELESS = /^(NOPERM|NOAUTH|WRONGPASS|WRONGTYPE|ERR|CROSSSLOT)\b/

export class EngineLink {
  readonly calls: EngineCalls = { calls: 0, failures: 0, lastMs: 0, totalMs: 0 }
  readonly #engine: RedisEngine
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #digests = new Map<SessionScript, string>()

  constructor(engine: RedisEngine, clock: Clock, timeoutMs: number) {
    this.#engine = engine
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /** Runs a script. @throws StorageError, `hopeless` when trying again is of no use */
  async run(
    script: SessionScript,
    keys: readonly string[],
    args: readonly RedisArgument[],
  ): Promise<RedisReply> {
    let digest = this.#digests.get(script)
    if (digest === undefined) {
      digest = createHash('sha1').update(script.text).digest('hex')
      this.#digests.set(script, digest)
    }
    const rest = [`${keys.length}`, ...keys, ...args]
    try {
      return await this.#call(['EVALSHA', digest, ...rest], keys[0])
    } catch (error) {
      if (!isUnknownScript(error)) throw error
      return await this.#call(['EVAL', script.text, ...rest], keys[0])
    }
  }

  /** Sends a command; `key`: one of its keys. @throws StorageError */
  command(args: readonly RedisArgument[], key?: string): Promise<RedisReply> {
    return this.#call(args, key)
  }

  async #call(args: readonly RedisArgument[], key: string | undefined): Promise<RedisReply> {
    const { calls } = this
    calls.calls += 1
    const began = this.#clock.now()
    let timer: unknown
    const late = new Promise<never>((_, reject) => {
      timer = this.#clock.setTimeout(
        () => reject(new Error(`no answer within ${this.#timeoutMs} ms`)),
        this.#timeoutMs,
        true,
      )
    })
    try {
      const reply = await Promise.race([this.#engine.command(args, key), late])
      calls.lastMs = this.#clock.now() - began
      calls.totalMs += calls.lastMs
      return reply
    } catch (error) {
      calls.failures += 1
      throw toStorageError(error)
    } finally {
      this.#clock.clearTimeout(timer)
    }
  }
}

/** Whether trying the same again is of no use: a missing permission, a mistake in a script. */
export function isHopeless(error: unknown): boolean {
  return HOPELESS.test(messageOf((error as { cause?: unknown }).cause))
}

function isUnknownScript(error: unknown): boolean {
  return messageOf((error as { cause?: unknown }).cause).startsWith('NOSCRIPT')
}

/** A failure of the engine, by its name. */
export function toStorageError(error: unknown): StorageError {
  const said = messageOf(error)
  const reason = SAID[/^[A-Z]+/.exec(said)?.[0] ?? ''] ?? 'unavailable'
  const advice = HOPELESS.test(said) ? 'it refuses' : ADVICE[reason]
  return new StorageError(`the engine that keeps the sessions has failed: ${advice} (${said})`, {
    reason,
    cause: error,
  })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
