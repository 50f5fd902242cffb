// Fetch standard, 5.6 fetch method: "abort the fetch() call"; DOM standard, 3.1 AbortController.

import { describe, expect, it } from 'vitest'
import { until } from '../../support/misbehavingServer.ts'
import { echo, fetches, origin, rejection } from './fetches.ts'

const reason = new Error('enough')
const READS = ['arrayBuffer', 'blob', 'bytes', 'json', 'text'] as const

describe.each(fetches)('aborting: %s', (_name, make) => {
  it('rejects with the reason of a signal that has aborted, and asks nobody', async () => {
    let asked = 0
    const url = await origin((_, response) => {
      asked += 1
      response.end()
    })
    expect(await rejection(make()(url, { signal: AbortSignal.abort(reason) }))).toBe(reason)
    expect(await rejection(make()(url, { signal: AbortSignal.abort() }))).toMatchObject({
      name: 'AbortError',
    })
    expect(await rejection(make()(new Request(url, { signal: AbortSignal.abort(reason) })))).toBe(reason)
    expect(asked).toBe(0)
  })

  it('looks at what is wrong with the request first', async () => {
    const init = { signal: AbortSignal.abort(reason), method: 'GET', body: 'x' }
    expect(await rejection(make()(await echo(), init))).toBeInstanceOf(TypeError)
  })

  it('rejects while the headers are waited for, and ends the request', async () => {
    const controller = new AbortController()
    let closed = false
    const url = await origin((request) => {
      request.socket.on('close', () => {
        closed = true
      })
      controller.abort(reason)
    })
    expect(await rejection(make()(url, { signal: controller.signal }))).toBe(reason)
    await until(() => closed, 'the request ends')
  })

  it.each(['', undefined, null, 0, 'text', { an: 'object' }])('rejects with any reason: %j', async (any) => {
    const controller = new AbortController()
    const url = await origin(() => controller.abort(any))
    const error = await rejection(make()(url, { signal: controller.signal }))
    if (any === undefined) expect(error).toMatchObject({ name: 'AbortError' })
    else expect(error).toBe(any)
  })

  it('rejects with a TimeoutError when the time of the signal is over', async () => {
    const url = await origin(() => {})
    expect(await rejection(make()(url, { signal: AbortSignal.timeout(20) }))).toMatchObject({
      name: 'TimeoutError',
    })
  })

  it.each(READS)('fails %s of a body that is still coming', async (read) => {
    const controller = new AbortController()
    const url = await origin((_, response) => response.write('{'))
    const response = await make()(url, { signal: controller.signal })
    const reading = rejection(response[read]())
    controller.abort(reason)
    expect(await reading).toBe(reason)
  })

  it.each(READS)('fails %s of a body that has come and has not been read', async (read) => {
    const controller = new AbortController()
    const url = await origin((_, response) => response.end('{}'))
    const response = await make()(url, { signal: controller.signal })
    controller.abort(reason)
    expect(await rejection(response[read]())).toBe(reason)
  })

  it('fails the stream of a body, and whoever waits for its end', async () => {
    const controller = new AbortController()
    const url = await origin((_, response) => response.write('x'))
    const response = await make()(url, { signal: controller.signal })
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    const closed = rejection(reader.closed)
    await reader.read()
    const reading = rejection(reader.read())
    controller.abort(reason)
    expect(await reading).toBe(reason)
    expect(await closed).toBe(reason)
  })

  it('fails a stream that nobody reads just then, too', async () => {
    const controller = new AbortController()
    const url = await origin((_, response) => response.write('x'))
    const response = await make()(url, { signal: controller.signal })
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    const closed = rejection(reader.closed)
    controller.abort(reason)
    expect(await closed).toBe(reason)
  })

  it('does nothing to a body that has been read', async () => {
    const controller = new AbortController()
    const url = await origin((_, response) => response.end('body'))
    const response = await make()(url, { signal: controller.signal })
    expect(await response.text()).toBe('body')
    controller.abort(reason)
    expect(response.bodyUsed).toBe(true)
  })

  it('takes the signal of init rather than that of the Request, and none for null', async () => {
    const aborted = AbortSignal.abort(reason)
    const url = await echo()
    expect((await make()(new Request(url, { signal: aborted }), { signal: null })).status).toBe(200)
    const other = new AbortController()
    expect((await make()(new Request(url, { signal: aborted }), { signal: other.signal })).status).toBe(200)
    expect(await rejection(make()(new Request(url), { signal: aborted }))).toBe(reason)
  })

  it('ends many calls of one signal', async () => {
    const controller = new AbortController()
    let asked = 0
    const url = await origin(() => {
      asked += 1
      if (asked === 20) controller.abort(reason)
    })
    const calls = Array.from({ length: 20 }, () => rejection(make()(url, { signal: controller.signal })))
    expect(new Set(await Promise.all(calls))).toEqual(new Set([reason]))
  })
})
