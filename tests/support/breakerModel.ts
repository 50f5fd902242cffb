// What the script of the shared breaker does, said once more in TypeScript: the model that it is checked against, and the engine
// of tests in virtual time.

import type { BreakerFacts, BreakerRequest } from '../../src/redis/breaker/breakerScript.ts'

export interface BreakerState {
  version: number
  state: 'CLOSED' | 'OPEN' | 'ISOLATED' | undefined
  till: number
  openings: number
  prober: string
  proberTill: number
  succeeded: number
}

export function freshBreaker(): BreakerState {
  return { version: 0, state: undefined, till: 0, openings: 0, prober: '', proberTill: 0, succeeded: 0 }
}

/** Answers one word at `now`, in whole milliseconds, and changes `kept`; `published`: whether all are told. */
export function answerBreaker(
  kept: BreakerState,
  id: string,
  { word, openMs: given, openings, probes }: BreakerRequest,
  now: number,
): { facts: BreakerFacts; published: boolean } {
  const openMs = Math.ceil(given)
  let published = false
  let granted = false
  if (kept.proberTill <= now) kept.prober = ''
  const publish = () => {
    kept.version = Math.max(kept.version + 1, now)
    published = true
  }
  const open = () => {
    Object.assign(kept, { state: 'OPEN', till: now + openMs, openings, prober: '', succeeded: 0 })
    publish()
  }
  if (word === 'isolate') {
    Object.assign(kept, { state: 'ISOLATED', openings: 0, prober: '', succeeded: 0 })
    publish()
  } else if (word === 'reset') {
    Object.assign(kept, { state: 'CLOSED', till: 0, openings: 0, prober: '', succeeded: 0 })
    publish()
  } else if (kept.state === 'ISOLATED') {
    // Only a hand opens it.
  } else if (word === 'open') {
    if (kept.state !== 'OPEN' || (kept.till <= now && kept.prober === '')) open()
  } else if (word === 'failed') {
    if (kept.state !== 'OPEN' || kept.till <= now) open()
  } else if (word === 'probe') {
    if (kept.state === undefined) Object.assign(kept, { state: 'OPEN', till: now, openings, version: now })
    if (kept.state === 'OPEN' && kept.till <= now && (kept.prober === '' || kept.prober === id)) {
      granted = true
      Object.assign(kept, { prober: id, proberTill: now + openMs })
    }
  } else if (kept.prober === id && (word === 'succeeded' || word === 'ignored')) {
    kept.prober = ''
    if (word === 'succeeded') {
      kept.succeeded += 1
      if (kept.succeeded >= probes) {
        Object.assign(kept, { state: 'CLOSED', till: 0, openings: 0, succeeded: 0 })
        publish()
      }
    }
  }
  const isOpen = kept.state === 'OPEN' || kept.state === 'ISOLATED'
  const left = kept.state === 'OPEN' ? Math.max(0, kept.till - now) : 0
  return {
    facts: {
      version: kept.version,
      state: isOpen ? 'OPEN' : 'CLOSED',
      remainingMs: kept.state === 'ISOLATED' ? null : left,
      openings: kept.openings,
      granted,
      probingMs: kept.prober === '' ? 0 : Math.max(0, kept.proberTill - now),
      now,
    },
    published,
  }
}
