// One token bucket per key, in bounded memory and without a way around the limit.
//
// A bucket that is full is the same as one that was never made, so only full ones are forgotten. When there is no room and
// none is full, new keys of a category share one bucket: inventing keys gains an attacker nothing.

import { type BucketState, retryAfterMs } from './bucketArithmetic.ts'
import type { Limit } from './options.ts'

/** A bucket with its limit and its counts. */
export interface Bucket extends BucketState {
  limit: Limit
  readonly category: string
  /** How often it was asked. */
  requests: number
  /** How often it refused. */
  limited: number
  /** Callers that wait for its tokens: while there are any, nobody is served past them. */
  waiting: number
}

/** How many old buckets a new key may look at for one to forget: keeps the cost of a key constant. */
const PROBES = 8

/** Under this key new keys of a category meet when there is no room for a bucket of their own. */
export const SHARED_KEY = '(other endpoints)'

export class KeyedBuckets {
  /** By key; keys of every category but `api` are prefixed with it and a line feed. */
  readonly buckets = new Map<string, Bucket>()
  readonly #maxKeys: number
  /** Goes round over all buckets. One that began anew each time would step over all that were forgotten before. */
  #hand = this.buckets.entries()

  /** @param maxKeys buckets kept at most, the shared ones apart */
  constructor(maxKeys: number) {
    this.#maxKeys = maxKeys
  }

  /** The bucket of this key, or `undefined` when it has none: then it is as good as full. */
  peek(key: string, category: string): Bucket | undefined {
    const own = this.buckets.get(mapKey(key, category))
    return own ?? (this.#isFull() ? this.buckets.get(mapKey(SHARED_KEY, category)) : undefined)
  }

  /** The bucket of this key; made when missing. */
  get(key: string, category: string, limit: Limit, now: number): Bucket {
    const bucket = this.buckets.get(mapKey(key, category)) ?? this.#make(key, category, limit, now)
    // The category may have been given another limit since.
    bucket.limit = limit
    return bucket
  }

  clear(): void {
    this.buckets.clear()
  }

  #make(key: string, category: string, limit: Limit, now: number): Bucket {
    if (key !== SHARED_KEY && this.#isFull() && !this.#forgetFull(now))
      return this.get(SHARED_KEY, category, limit, now)
    const tokens = limit.burstCapacity
    const bucket = { tokens, refilledAt: now, limit, category, requests: 0, limited: 0, waiting: 0 }
    this.buckets.set(mapKey(key, category), bucket)
    return bucket
  }

  #isFull(): boolean {
    return this.buckets.size >= this.#maxKeys
  }

  /** Looks at the next few: every bucket in turn. */
  #forgetFull(now: number): boolean {
    const { size } = this.buckets
    for (let probes = PROBES; probes > 0; probes -= 1) {
      let next = this.#hand.next()
      if (next.done) {
        this.#hand = this.buckets.entries()
        next = this.#hand.next()
      }
      if (next.done) break
      const [key, bucket] = next.value
      const { limit } = bucket
      if (bucket.waiting || retryAfterMs(bucket, limit, limit.burstCapacity, now)) continue
      this.buckets.delete(key)
    }
    return this.buckets.size < size
  }
}

function mapKey(key: string, category: string): string {
  return category === 'api' ? key : `${category}\n${key}`
}
