// The arithmetic of a token bucket. Nothing here knows the time, who asks or why.

import type { Limit } from './options.ts'

/** Absorbs what floating point loses, so that waiting `retryAfterMs` is always enough. */
const EPSILON = 1e-9

/** A bucket's memory: what it held, and when. Below 0 it owes tokens to those that wait. */
export interface BucketState {
  tokens: number
  refilledAt: number
}

/** Adds what has come back since the last look. Time that runs backwards adds nothing. */
export function refill(bucket: BucketState, limit: Readonly<Limit>, now: number): void {
  const elapsed = Math.max(0, now - bucket.refilledAt)
  bucket.tokens = Math.min(limit.burstCapacity, bucket.tokens + (elapsed / 1000) * limit.tokensPerSecond)
  bucket.refilledAt += elapsed
}

/** Takes `cost` tokens if they are there; all or nothing. */
export function tryTake(bucket: BucketState, limit: Readonly<Limit>, cost: number, now: number): boolean {
  refill(bucket, limit, now)
  if (bucket.tokens + EPSILON < cost) return false
  bucket.tokens = Math.max(0, bucket.tokens - cost)
  return true
}

/** Whole milliseconds until `cost` tokens will be there; 0 when they are, `Infinity` when the bucket is too small. */
export function retryAfterMs(bucket: BucketState, limit: Readonly<Limit>, cost: number, now: number): number {
  refill(bucket, limit, now)
  if (bucket.tokens + EPSILON >= cost) return 0
  return cost > limit.burstCapacity
    ? Infinity
    : Math.ceil(((cost - bucket.tokens) / limit.tokensPerSecond) * 1000)
}
