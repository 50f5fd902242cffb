// The ground floor: emitter, ring, abort fan-out, redaction, option checks, sleep.

import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { onAbort } from './abort.ts'
import { Emitter } from './emitter.ts'
import { ApiError, CommsError } from './errors.ts'
import {
  checkedView,
  checkOptions,
  count,
  describe as describeValue,
  interval,
  withDefaults,
} from './options.ts'
import { redactHeaders, redactUrl } from './redact.ts'
import { RingBuffer } from './ringBuffer.ts'
import { sleep } from './sleep.ts'
import { systemClock } from './systemClock.ts'

describe('Emitter', () => {
  type Events = { message: [text: string]; error: [error: unknown] }

  it('calls listeners in order, once-listeners once, and returns this', () => {
    const emitter = new Emitter<Events>()
    const seen: string[] = []
    const result = emitter
      .on('message', (text) => seen.push(`a ${text}`))
      .once('message', (text) => seen.push(`b ${text}`))
    expect(result).toBe(emitter)
    expect(emitter.emit('message', '1')).toBe(true)
    emitter.emit('message', '2')
    expect(seen).toEqual(['a 1', 'b 1', 'a 2'])
    expect(emitter.listenerCount('message')).toBe(1)
  })

  it('an unheard error does not throw', () => {
    expect(new Emitter<Events>().emit('error', new Error('nobody listens'))).toBe(false)
  })

  it('a listener that throws or rejects harms neither the emitter nor the others, and is reported', async () => {
    const reported: unknown[] = []
    class Loud extends Emitter<Events> {
      protected override onListenerError(error: unknown, name: string) {
        reported.push(name, (error as Error).message)
      }
    }
    const emitter = new Loud()
    const seen: string[] = []
    emitter.on('message', () => {
      throw new Error('thrown')
    })
    emitter.on('message', async () => {
      throw new Error('rejected')
    })
    emitter.on('message', (text) => seen.push(text))
    emitter.emit('message', 'x')
    await Promise.resolve()
    await Promise.resolve()
    expect(seen).toEqual(['x'])
    expect(reported).toEqual(['message', 'thrown', 'message', 'rejected'])
  })

  it('a listener may remove others while the event is delivered', () => {
    const emitter = new Emitter<Events>()
    const seen: string[] = []
    const second = () => seen.push('second')
    emitter.on('message', () => {
      seen.push('first')
      emitter.off('message', second)
    })
    emitter.on('message', second)
    emitter.emit('message', '1')
    emitter.emit('message', '2')
    expect(seen).toEqual(['first', 'second', 'first'])
  })

  it('knows the rest of what people use', () => {
    const emitter = new Emitter<Events>()
    const listener = () => {}
    emitter.addListener('message', listener).addListener('message', listener).addListener('other', listener)
    expect(emitter.listeners('message')).toEqual([listener, listener])
    expect(emitter.eventNames()).toEqual(['message', 'other'])
    emitter.removeListener('message', listener)
    expect(emitter.listenerCount('message')).toBe(1)
    emitter.removeAllListeners('message')
    expect(emitter.eventNames()).toEqual(['other'])
    emitter.removeAllListeners()
    expect(emitter.eventNames()).toEqual([])
    expect(() => emitter.on('message', 'no' as never)).toThrow(
      'listener of "message" must be a function, got string',
    )
  })
})

describe('RingBuffer', () => {
  it('behaves as an array does', () => {
    const operation = fc.oneof(
      fc.record({ kind: fc.constant('push' as const), value: fc.nat() }),
      fc.record({ kind: fc.constant('unshift' as const), value: fc.nat() }),
      fc.record({ kind: fc.constant('shift' as const), value: fc.nat() }),
      fc.record({ kind: fc.constant('remove' as const), value: fc.nat(20) }),
    )
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 400 }), (operations) => {
        const ring = new RingBuffer<number>()
        const array: number[] = []
        for (const { kind, value } of operations) {
          if (kind === 'push') {
            ring.push(value)
            array.push(value)
          } else if (kind === 'unshift') {
            ring.unshift(value)
            array.unshift(value)
          } else if (kind === 'shift') {
            expect(ring.shift()).toBe(array.shift())
          } else {
            const item = array[value]
            expect(ring.remove((other) => other === item)).toBe(item)
            if (item !== undefined) array.splice(array.indexOf(item), 1)
          }
          expect([...ring]).toEqual(array)
        }
      }),
    )
  })

  it('gives memory back when it drains', () => {
    const ring = new RingBuffer<number>()
    for (let item = 0; item < 10_000; item += 1) ring.push(item)
    for (let item = 0; item < 10_000; item += 1) expect(ring.shift()).toBe(item)
    expect(ring.length).toBe(0)
    ring.push(1)
    ring.clear()
    expect(ring.at(0)).toBeUndefined()
  })
})

describe('onAbort', () => {
  it('puts one listener on a signal, however many wait, and takes it away with the last', () => {
    const controller = new AbortController()
    const add = vi.spyOn(controller.signal, 'addEventListener')
    const remove = vi.spyOn(controller.signal, 'removeEventListener')
    const releases = Array.from({ length: 10_000 }, () => onAbort(controller.signal, () => {}))
    expect(add).toHaveBeenCalledTimes(1)
    for (const release of releases) release()
    expect(remove).toHaveBeenCalledTimes(1)
    for (const release of releases) release()
    expect(remove).toHaveBeenCalledTimes(1)
  })

  it('tells everyone who still waits, once', () => {
    const controller = new AbortController()
    const seen: string[] = []
    onAbort(controller.signal, () => seen.push('a'))
    onAbort(controller.signal, () => seen.push('b'))()
    controller.abort()
    onAbort(controller.signal, () => seen.push('late'))
    expect(seen).toEqual(['a', 'late'])
  })
})

describe('onAbort, while it tells', () => {
  it('does not call who is released by another', () => {
    const controller = new AbortController()
    const seen: string[] = []
    let releaseSecond = () => {}
    onAbort(controller.signal, () => {
      seen.push('first')
      releaseSecond()
    })
    releaseSecond = onAbort(controller.signal, () => seen.push('second'))
    controller.abort()
    expect(seen).toEqual(['first'])
  })
})

describe('redaction', () => {
  it.each([
    ['https://user:pass@host/path?q=1#frag', 'https://host/path?q=1'],
    ['https://host/p?access_token=abc&q=1', 'https://host/p?access_token=***&q=1'],
    ['https://host/p?api_key=abc&x-amz-signature=2', 'https://host/p?api_key=***&x-amz-signature=***'],
    ['/relative?token=abc', '/relative'],
  ])('%s becomes %s', (url, expected) => {
    expect(redactUrl(url)).toBe(expected)
  })

  it('hides secret headers', () => {
    expect({ ...redactHeaders({ authorization: 'Bearer x', cookie: 'a=b', accept: '*/*' }) }).toEqual({
      authorization: '***',
      cookie: '***',
      accept: '*/*',
    })
  })

  it('an error does not show its headers', () => {
    const error = new ApiError('500', {
      status: 500,
      body: null,
      headers: { 'set-cookie': 'secret' },
      url: '',
    })
    expect(error.headers['set-cookie']).toBe('secret')
    expect(JSON.stringify(error)).not.toContain('secret')
    expect(Object.keys(error)).not.toContain('headers')
  })
})

describe('options', () => {
  const rules = { timeout: interval, retries: count }

  it.each([
    [
      { timeout: '5' },
      TypeError,
      'X: option "timeout" must be a number of milliseconds from 1 to 2147483647, got "5"',
    ],
    [
      { timeout: 0 },
      RangeError,
      'X: option "timeout" must be a number of milliseconds from 1 to 2147483647, got 0',
    ],
    [{ timeout: Number.NaN }, RangeError, /got NaN/],
    [{ retries: 1.5 }, RangeError, 'X: option "retries" must be a whole number >= 0, got 1.5'],
    [{ retries: null }, TypeError, /got null/],
    [{ Retries: 1 }, TypeError, 'X: option "Retries" must be spelt "retries", got 1'],
    ['text', TypeError, 'X: option "options" must be an object, got "text"'],
  ])('%j is refused', (options, type, message) => {
    const check = () => checkOptions('X', options, rules)
    expect(check).toThrow(type)
    expect(check).toThrow(message)
  })

  it('lets what is undefined pass, and names the nearest of what is not known', () => {
    expect(() => checkOptions('X', { timeout: undefined, other: undefined }, rules)).not.toThrow()
    const known = { maxRetries: count, retryDelay: count, timeout: count }
    for (const [given, nearest] of [
      ['timout', 'timeout'],
      ['retries', 'maxRetries'],
      ['retryDelays', 'retryDelay'],
    ] as const)
      expect(() => checkOptions('X', { [given]: 1 }, known)).toThrow(
        `X: option "${given}" is not known, the nearest that is known is "${nearest}", got 1`,
      )
    expect(() => checkOptions('X', { any: 1 }, {})).toThrow(/^X: option "any" is not known, got 1$/)
  })

  it('never shows a secret', () => {
    expect(describeValue('abc', 'token')).toBe('a string')
    expect(() => checkOptions('X', { apiKey: 'abc' }, { apiKey: count })).toThrow(/got a string$/)
  })

  it('defaults give way to what was given, not to undefined, and never to __proto__', () => {
    const given = JSON.parse('{"timeout": 5, "__proto__": {"retries": 9}}')
    expect(withDefaults({ timeout: 1, retries: 2 }, given)).toEqual({ timeout: 5, retries: 2 })
    expect(withDefaults({ timeout: 1 }, { timeout: undefined })).toEqual({ timeout: 1 })
  })

  it('a live view checks before it changes', () => {
    const values = { timeout: 5, retries: 1 }
    const view = checkedView('X', values, rules)
    view.timeout = 7
    expect(values.timeout).toBe(7)
    expect(() => {
      view.retries = -1
    }).toThrow(/"retries"/)
    expect(values.retries).toBe(1)
    expect({ ...view }).toEqual(values)
  })
})

describe('sleep', () => {
  it('ends at its time, or at once with the error when aborted; either way nothing is left', async () => {
    const clock = new VirtualClock()
    const controller = new AbortController()
    const rest = sleep(clock, 100, controller.signal, () => 'aborted')
    await clock.advance(100)
    await rest
    const cut = sleep(clock, 100, controller.signal, () => 'aborted').catch((error: unknown) => error)
    controller.abort()
    expect(await cut).toBe('aborted')
    expect(clock.pending).toBe(0)
  })
})

describe('systemClock', () => {
  it('calls back, withdraws, and never runs backwards', async () => {
    const from = systemClock.now()
    let called = false
    systemClock.clearTimeout(
      systemClock.setTimeout(() => {
        called = true
      }, 0),
    )
    await new Promise<void>((resolve) => void systemClock.setTimeout(resolve, 1, true))
    expect(called).toBe(false)
    expect(systemClock.now()).toBeGreaterThan(from)
    expect(Math.abs(systemClock.wallNow() - Date.now())).toBeLessThan(60_000)
  })
})

describe('CommsError', () => {
  it('carries a stable code, the attempts and the cause', () => {
    const cause = new Error('why')
    const error = new CommsError('what', { code: 'NETWORK', cause, attempts: 3 })
    expect(error).toMatchObject({ name: 'CommsError', code: 'NETWORK', cause, attempts: 3, message: 'what' })
    expect('cause' in new CommsError('what', { code: 'NETWORK' })).toBe(false)
  })
})
