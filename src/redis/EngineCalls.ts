// How everything here speaks to an engine: each command within a time limit, each failure explained, its version looked at once.

import type { Clock } from '../core/clock.ts'
import { checkOption, checkOptions, clockRule, interval, objectWith } from '../core/options.ts'
import { sleep } from '../core/sleep.ts'
import { systemClock } from '../core/systemClock.ts'
import { EngineError, engineError } from './EngineError.ts'
import type { RedisArgument, RedisEngine, RedisReply } from './RedisEngine.ts'
import { checkOneSlot, type Script } from './Script.ts'

export interface EngineCallsOptions {
  /** What it is for, for messages: `SharedRateLimiter "openai"`. @default 'Redis' */
  what?: string
  /** Milliseconds until a command without an answer counts as failed. @default 1000 */
  timeout?: number
  clock?: Clock
}

export const engineRule = objectWith('command', 'subscribe', 'close')

/** How long a start waits for an engine that is away: clients connect while it does. */
const START_MS = 3000
const START_PAUSE_MS = 50

/**
 * Looks again and again until `look` gives no error. One that another look may mend is waited out for three seconds.
 * @throws the last EngineError
 */
export async function started(clock: Clock, look: () => Promise<EngineError | undefined>): Promise<void> {
  const until = clock.now() + START_MS
  for (;;) {
    const error = await look()
    if (!error) return
    if (clock.now() >= until || !/^(?:timeout|unreachable|unavailable)$/.test(error.reason)) throw error
    await sleep(clock, START_PAUSE_MS, undefined, () => error)
  }
}

/** Engines that are known to be new enough, by whoever looked first. */
const checked = new WeakMap<RedisEngine, Promise<void>>()

/** The oldest server whose scripts may do what ours do. */
const OLDEST = 7

export class EngineCalls {
  readonly engine: RedisEngine
  readonly #what: string
  readonly #timeoutMs: number
  readonly #clock: Clock

  /** @throws TypeError or RangeError naming the option */
  constructor(engine: RedisEngine, options: EngineCallsOptions = {}) {
    const { what = 'Redis', timeout = 1000, clock = systemClock } = options
    checkOption(what, 'engine', engine, engineRule)
    checkOptions(what, { timeout, clock }, { timeout: interval, clock: clockRule })
    this.engine = engine
    this.#what = what
    this.#timeoutMs = timeout
    this.#clock = clock
  }

  /**
   * Sends a command.
   * @param key one of its keys; `undefined`: any node of a cluster will do
   * @throws EngineError. With reason `timeout` it may have been carried out, or may be still
   */
  command(args: readonly RedisArgument[], key?: string): Promise<RedisReply> {
    return this.#within(String(args[0]), () => this.engine.command(args, key))
  }

  /**
   * Runs a script, on the node where its keys are.
   * @throws EngineError as `command`; TypeError when the keys may lie on different nodes of a cluster
   */
  async run(script: Script, keys: readonly string[], args: readonly RedisArgument[]): Promise<RedisReply> {
    checkOneSlot(script.name, keys)
    await this.checkVersion()
    const rest = [String(keys.length), ...keys, ...args]
    return this.#within(script.name, async () => {
      try {
        return await this.engine.command(['EVALSHA', script.sha, ...rest], keys[0])
      } catch (error) {
        if (!/NOSCRIPT/.test(String((error as Error | undefined)?.message))) throw error
        return this.engine.command(['EVAL', script.source, ...rest], keys[0])
      }
    })
  }

  /**
   * Listens to a channel, until the function that it resolves to is called; while the engine is away it goes on trying.
   * @throws EngineError when the engine refuses
   */
  async subscribe(
    channel: string,
    onMessage: (message: Uint8Array) => void,
    onGap: () => void,
  ): Promise<() => Promise<void>> {
    try {
      return await this.engine.subscribe(channel, onMessage, onGap)
    } catch (error) {
      throw engineError(error, `${this.#what}: SUBSCRIBE`)
    }
  }

  /**
   * Looks once whether the server is new enough. One that does not let itself be asked passes.
   * @throws EngineError
   */
  checkVersion(): Promise<void> {
    const known = checked.get(this.engine)
    if (known) return known
    const looking = this.#lookAtVersion()
    checked.set(this.engine, looking)
    // Only a good answer is final: a server may come back, or be replaced.
    looking.catch(() => checked.delete(this.engine))
    return looking
  }

  async #lookAtVersion(): Promise<void> {
    let info: RedisReply
    try {
      info = await this.command(['INFO', 'server'])
    } catch (error) {
      if ((error as EngineError).reason === 'permission') return
      throw error
    }
    const text = info instanceof Uint8Array ? new TextDecoder().decode(info) : ''
    const [, version, major] = /^redis_version:((\d+)[^\r\n]*)/m.exec(text) ?? []
    if (major === undefined || Number(major) >= OLDEST) return
    throw new EngineError(
      `${this.#what}: the server is Redis ${version}: its scripts need Redis 7.0 or newer, or Valkey`,
      { reason: 'version' },
    )
  }

  #within(command: string, send: () => Promise<RedisReply>): Promise<RedisReply> {
    const what = `${this.#what}: ${command}`
    const clock = this.#clock
    return new Promise((resolve, reject) => {
      const timer = clock.setTimeout(() => {
        reject(
          new EngineError(
            `${what}: no answer in ${this.#timeoutMs} ms: the network or the server is slow or away (option "timeout" says how long to wait)`,
            { reason: 'timeout' },
          ),
        )
      }, this.#timeoutMs)
      const fail = (error: unknown) => {
        clock.clearTimeout(timer)
        reject(engineError(error, what))
      }
      try {
        send().then((reply) => {
          clock.clearTimeout(timer)
          resolve(reply)
        }, fail)
      } catch (error) {
        fail(error)
      }
    })
  }
}
