import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BoundedMemory, type Spoken } from './protocolMemory.ts'
import { type FailedUpgrade, SubprotocolOffer } from './subprotocolOffer.ts'

const URL = 'ws://h/ws?ticket=1'
const PLACE = 'ws://h/ws'

/** A server, as the attempts at it go: what it makes of an offer, and of none. */
interface Server {
  offered(): 'guru.v1' | '' | FailedUpgrade
  plainly(): 'plain' | FailedUpgrade
}

const failures: FailedUpgrade[] = ['refused', 'unselected', 'unanswered', 'unknown']

/** Attempts until a line is open; how many that took, and what it speaks. */
function connect(offer: SubprotocolOffer, server: Server, most = 20) {
  for (let attempts = 1; attempts <= most; attempts += 1) {
    const offers = offer.at(URL) !== undefined
    const answer = offers ? server.offered() : server.plainly()
    if ((failures as string[]).includes(answer)) {
      offer.failed(answer as FailedUpgrade)
      continue
    }
    const agreed = offer.answered(answer === 'plain' ? '' : answer)
    if (agreed === 'session') offer.opened()
    if (agreed === 'session' || agreed === 'plain') return { speaks: agreed, attempts }
  }
  return { speaks: undefined, attempts: most }
}

/** Down for so many attempts, then the server. */
function downFor(times: number, as: FailedUpgrade, server: Server): Server {
  let left = times
  const isDown = () => {
    left -= 1
    return left >= 0
  }
  return {
    offered: () => (isDown() ? as : server.offered()),
    plainly: () => (isDown() ? as : server.plainly()),
  }
}

const sessions: Server = { offered: () => 'guru.v1', plainly: () => 'plain' }
/** Servers that know no sessions, and what each makes of an offer. */
const plains: Record<string, Server> = {
  'accepts without selecting': { offered: () => 'unselected', plainly: () => 'plain' },
  'opens without selecting': { offered: () => '', plainly: () => 'plain' },
  'refuses with a status': { offered: () => 'refused', plainly: () => 'plain' },
  'refuses, and the platform does not say how': { offered: () => 'unknown', plainly: () => 'plain' },
}

function auto(memory = new BoundedMemory()) {
  return { memory, offer: new SubprotocolOffer(false, memory) }
}

describe('auto', () => {
  const down = [0, 1, 2, 3, 4, 5].flatMap((times) =>
    (['unanswered', 'unknown'] as const).map((as) => [times, as] as const),
  )

  it.each(down)('a server that was down for %i attempts (%s) gets its session', (times, as) => {
    const { memory, offer } = auto()
    expect(connect(offer, downFor(times, as, sessions)).speaks).toBe('session')
    expect(memory.get(PLACE)).toBe('session')
  })

  for (const [name, server] of Object.entries(plains)) {
    it.each(down)(
      `a plain one that ${name} gets its plain line after %i attempts (%s), and is remembered`,
      (times, as) => {
        const { memory, offer } = auto()
        const { speaks, attempts } = connect(offer, downFor(times, as, server))
        expect(speaks).toBe('plain')
        expect(attempts).toBeLessThanOrEqual(times + 5)
        expect(memory.get(PLACE)).toBe('plain')
        // Known now: to this connection, and to the next.
        expect(connect(offer, server)).toEqual({ speaks: 'plain', attempts: 1 })
        expect(connect(auto(memory).offer, server)).toEqual({ speaks: 'plain', attempts: 1 })
      },
    )
  }

  it.each(failures)('remembers nothing of a server that never opens a line (%s)', (as) => {
    const { memory, offer } = auto()
    const server: Server = { offered: () => as, plainly: () => 'unanswered' }
    expect(connect(offer, server).speaks).toBeUndefined()
    expect(memory.get(PLACE)).toBe(as === 'unselected' ? 'plain' : undefined)
  })

  it('a place that was plain and has learnt guru.v1 since is offered it again', () => {
    for (const as of ['refused', 'unknown'] as const) {
      const { memory, offer } = auto()
      memory.set(PLACE, 'plain')
      const server: Server = { offered: () => 'guru.v1', plainly: () => as }
      const { speaks, attempts } = connect(offer, server)
      expect(speaks).toBe('session')
      expect(attempts).toBeLessThanOrEqual(4)
      expect(memory.get(PLACE)).toBe('session')
    }
  })

  it('a place that spoke guru.v1 and does not any more is plain again for a new connection', () => {
    const { memory, offer } = auto()
    memory.set(PLACE, 'session')
    expect(connect(offer, plains['accepts without selecting'] as Server).speaks).toBe('plain')
    expect(memory.get(PLACE)).toBe('plain')
  })

  it('never a plain line again once a session has opened, whatever the server does', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom<'' | FailedUpgrade>('', ...failures)), (answers) => {
        const { offer } = auto()
        expect(connect(offer, sessions).speaks).toBe('session')
        for (const answer of answers) {
          expect(offer.at(URL)).toBe('guru.v1')
          if (answer === '') expect(offer.answered('')).toBeUndefined()
          else expect(offer.failed(answer)).toBe(false)
        }
      }),
    )
  })

  it('whatever happens, plain is remembered of a server only that took a plain line or selected nothing', () => {
    const failure = fc.constantFrom<FailedUpgrade>('refused', 'unanswered', 'unknown')
    fc.assert(
      fc.property(fc.array(failure, { maxLength: 40 }), (answers) => {
        const { memory, offer } = auto()
        for (const answer of answers) {
          offer.at(URL)
          offer.failed(answer)
          expect(memory.get(PLACE)).toBeUndefined()
        }
        // And whoever speaks it in the end gets its session.
        expect(connect(offer, sessions).speaks === 'session' || answers.includes('refused')).toBe(true)
      }),
    )
  })

  it('works with a memory that remembers nothing', () => {
    const memory = { get: () => undefined, set: () => {} }
    for (const server of Object.values(plains)) {
      const offer = new SubprotocolOffer(false, memory)
      expect(connect(offer, server).speaks).toBe('plain')
    }
  })
})

describe('required', () => {
  it('offers always, and never at once again', () => {
    const memory = new BoundedMemory()
    memory.set(PLACE, 'plain')
    const offer = new SubprotocolOffer(true, memory)
    for (const as of failures) {
      expect(offer.at(URL)).toBe('guru.v1')
      expect(offer.failed(as)).toBe(false)
    }
    expect(offer.at(URL)).toBe('guru.v1')
    expect(offer.answered('')).toBeUndefined()
    expect(memory.get(PLACE)).toBe('plain')
  })
})

describe('BoundedMemory', () => {
  it('forgets what it was told of longest ago', () => {
    const memory = new BoundedMemory(2)
    const told: [string, Spoken][] = [
      ['a', 'plain'],
      ['b', 'session'],
      ['a', 'session'],
      ['c', 'plain'],
    ]
    for (const [place, spoken] of told) memory.set(place, spoken)
    expect(['a', 'b', 'c'].map((place) => memory.get(place))).toEqual(['session', undefined, 'plain'])
  })
})
