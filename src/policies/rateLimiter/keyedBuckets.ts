// One token bucket per key, in bounded memory and without a way around the limit.
//
// A bucket that is full is the same as one that was never made, so only full ones are forgotten. When there is no room and
// none is full, new keys of a category share one bucket: inventing keys gains an attacker nothing.

import { type BucketState, isFull } from './bucketArithmetic.ts'
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
  /** Told before a bucket is forgotten, for statistics. */
  readonly #onForget: ((key: string, bucket: Bucket) => void) | undefined
  #oldest: IterableIterator<[string, Bucket]> | undefined

  /** @param maxKeys buckets kept at most, the shared ones apart */
  constructor(maxKeys: number, onForget?: (key: string, bucket: Bucket) => void) {
    this.#maxKeys = maxKeys
    this.#onForget = onForget
  }

  /** The bucket of this key, or `undefined` when it has none: then it is as good as full. */
  peek(key: string, category: string): Bucket | undefined {
    const mapKey = this.#mapKey(key, category)
    return (
      this.buckets.get(mapKey) ??
      (this.#hasRoom() ? undefined : this.buckets.get(this.#mapKey(SHARED_KEY, category)))
    )
  }

  /** The bucket of this key; made when missing. */
  get(key: string, category: string, limit: Limit, now: number): Bucket {
    const mapKey = this.#mapKey(key, category)
    const bucket = this.buckets.get(mapKey) ?? this.#make(mapKey, category, limit, now)
    // The category may have been given another limit since.
    bucket.limit = limit
    return bucket
  }

  clear(): void {
    this.buckets.clear()
    this.#oldest = undefined
  }

  #make(mapKey: string, category: string, limit: Limit, now: number): Bucket {
    if (!this.#hasRoom() && !this.#forgetFull(now)) {
      const sharedKey = this.#mapKey(SHARED_KEY, category)
      const shared = this.buckets.get(sharedKey)
      if (shared) return shared
      return this.#add(sharedKey, category, limit, now)
    }
    return this.#add(mapKey, category, limit, now)
  }

  #add(mapKey: string, category: string, limit: Limit, now: number): Bucket {
    const bucket: Bucket = {
      tokens: limit.burstCapacity,
      refilledAt: now,
      limit,
      category,
      requests: 0,
      limited: 0,
      waiting: 0,
    }
    this.buckets.set(mapKey, bucket)
    return bucket
  }

  #hasRoom(): boolean {
    return this.buckets.size < this.#maxKeys
  }

  /** Walks on from where the last search ended, so that every bucket is looked at in turn. */
  #forgetFull(now: number): boolean {
    let forgotten = false
    for (let probe = 0; probe < PROBES; probe += 1) {
      this.#oldest ??= this.buckets.entries()
      const next = this.#oldest.next()
      if (next.done) {
        this.#oldest = undefined
        continue
      }
      const [key, bucket] = next.value
      if (bucket.waiting === 0 && isFull(bucket, bucket.limit, now)) {
        this.#onForget?.(key, bucket)
        this.buckets.delete(key)
        forgotten = true
      }
    }
    return forgotten
  }

  #mapKey(key: string, category: string): string {
    return category === 'api' ? key : `${category}\n${key}`
  }
}
