// An engine in memory and in virtual time that knows one script, the shared limit: with latency, with absences, with amnesia.

import type { Clock } from '../../src/core/clock.ts'
import type { LeaseRequest } from '../../src/redis/limits/bucketScript.ts'
import type { RedisArgument, RedisEngine, RedisReply } from '../../src/redis/RedisEngine.ts'
import { answer, type BucketState } from './bucketModel.ts'

const bytes = (value: unknown) => new TextEncoder().encode(String(value))

export class FakeBucketEngine {
  /** `down`: refuses at once. `silent`: takes everything in and answers nothing. */
  weather: 'fine' | 'down' | 'silent' = 'fine'
  /** Of each way, in milliseconds: called for every message. */
  latencyMs: () => number = () => 1
  commands = 0
  readonly #clock: Clock
  readonly #offsetMs: number
  readonly #buckets = new Map<string, BucketState>()

  /** @param offsetMs how much the engine's clock differs from the processes' */
  constructor(clock: Clock, offsetMs = 1_000_000) {
    this.#clock = clock
    this.#offsetMs = offsetMs
  }

  /** It has died and remembers nothing. */
  forget(): void {
    this.#buckets.clear()
  }

  /** One process's connection. */
  connect(weatherHere: () => FakeBucketEngine['weather'] = () => 'fine'): RedisEngine {
    const travel = () =>
      new Promise<void>((resolve) => this.#clock.setTimeout(() => resolve(), this.latencyMs()))
    const now = (): FakeBucketEngine['weather'] => (this.weather === 'fine' ? weatherHere() : this.weather)
    const refuseOrHang = (): Promise<never> | undefined => {
      if (now() === 'down') return Promise.reject(new Error('connect ECONNREFUSED'))
      return now() === 'silent' ? new Promise<never>(() => {}) : undefined
    }
    return {
      command: async (args) => {
        if (args[0] === 'INFO') return bytes('redis_version:7.0.15')
        this.commands += 1
        await (refuseOrHang() ?? travel())
        if (now() === 'down') throw new Error('read ECONNRESET')
        if (now() === 'silent') return new Promise<never>(() => {})
        const reply = this.#run(args)
        await travel()
        if (now() === 'down') throw new Error('read ECONNRESET')
        if (now() === 'silent') return new Promise<never>(() => {})
        return reply
      },
      subscribe: async () => async () => {},
      close: async () => {},
    }
  }

  #run(args: readonly RedisArgument[]): RedisReply {
    const [, , , key = '', id = '', ...texts] = args.map(String)
    const [seq, rate, burst, held, used, need, want, known, born, since, life, leaving] = texts.map(
      Number,
    ) as [number, number, number, number, number, number, number, number, number, number, number, number]
    const request: LeaseRequest = { seq, held, used, need, want, known, born, since, leaving: leaving === 1 }
    const limit = { tokensPerSecond: rate, burstCapacity: burst }
    const now = this.#clock.now() + this.#offsetMs
    const { state, reply } = answer(this.#buckets.get(key), id, limit, life, request, now)
    this.#buckets.set(key, state)
    if (!reply) return [0]
    const { accepted, ready, coming, afterMs, perMs, processes, waitMs } = reply
    return [
      1,
      processes,
      ...[accepted, ready, coming, afterMs, perMs, waitMs, reply.born, reply.now].map(bytes),
    ]
  }
}
