// Fetch standard, 4.5 HTTP-redirect fetch.

import { describe, expect, it } from 'vitest'
import { echoed, fetches, origin, rejection } from './fetches.ts'

/** Redirects from `/<status>` to `/to`, or as far as the count says. */
function redirecting() {
  return origin((request, response) => {
    const [, kind, count] = request.url.split('/')
    if (kind === 'to') {
      const { method, url, headers } = request
      response.end(JSON.stringify({ method, url, headers, body: request.body.toString() }))
    } else if (kind === 'count') {
      const location = Number(count) > 1 ? `/count/${Number(count) - 1}` : '/to'
      response.writeHead(302, { location }).end()
    } else if (kind === 'where') {
      response.writeHead(302, { location: decodeURIComponent(count ?? '') }).end()
    } else if (kind === 'nowhere') response.writeHead(302).end('stay')
    else response.writeHead(Number(kind), { location: '/to' }).end()
  })
}

describe.each(fetches)('redirects: %s', (_name, make) => {
  it.each([
    [301, 'GET', 'GET'],
    [301, 'POST', 'GET'],
    [301, 'PUT', 'PUT'],
    [302, 'POST', 'GET'],
    [302, 'HEAD', 'HEAD'],
    [303, 'POST', 'GET'],
    [303, 'PUT', 'GET'],
    [307, 'POST', 'POST'],
    [308, 'POST', 'POST'],
    [308, 'PUT', 'PUT'],
  ])('%d turns %s into %s', async (status, method, then) => {
    const url = await redirecting()
    const body = method === 'GET' || method === 'HEAD' ? null : 'body'
    const response = await make()(`${url}/${status}`, { method, body, headers: { 'x-a': '1' } })
    expect([response.url, response.redirected, response.status]).toEqual([`${url}/to`, true, 200])
    if (method === 'HEAD') return
    const answer = await echoed(Promise.resolve(response))
    expect([answer.method, answer.headers['x-a']]).toEqual([then, '1'])
    expect(answer.body).toBe(then === method && body ? body : '')
    if (then !== method) expect(answer.headers['content-type']).toBeUndefined()
  })

  it.each([300, 304, 305, 306])('%d is an answer', async (status) => {
    const response = await make()(`${await redirecting()}/${status}`)
    expect([response.status, response.redirected]).toEqual([status, false])
  })

  it('without a Location is an answer', async () => {
    const response = await make()(`${await redirecting()}/nowhere`)
    expect([response.status, await response.text()]).toEqual([302, 'stay'])
  })

  it('are followed twenty times, and not more', async () => {
    const url = await redirecting()
    expect((await make()(`${url}/count/20`)).status).toBe(200)
    expect(await rejection(make()(`${url}/count/21`))).toBeInstanceOf(TypeError)
  })

  it('are handed over with "manual", refused with "error"', async () => {
    const url = await redirecting()
    const response = await make()(`${url}/302`, { redirect: 'manual' })
    expect([response.status, response.headers.get('location'), response.redirected]).toEqual([
      302,
      '/to',
      false,
    ])
    expect(await rejection(make()(`${url}/302`, { redirect: 'error' }))).toBeInstanceOf(TypeError)
    expect((await make()(`${url}/to`, { redirect: 'error' })).status).toBe(200)
    const request = new Request(`${url}/302`, { redirect: 'error' })
    expect(await rejection(make()(request))).toBeInstanceOf(TypeError)
  })

  it.each(['data:,x', 'file:///etc/hosts', 'blob:x', 'http://[/', 'mailto:a@b.c'])(
    'are not followed to %s',
    async (to) => {
      const url = await redirecting()
      expect(await rejection(make()(`${url}/where/${encodeURIComponent(to)}`))).toBeInstanceOf(TypeError)
    },
  )

  it('take credentials along within an origin, and none to another', async () => {
    const headers = { authorization: 'Bearer x', cookie: 'a=b', 'x-a': '1' }
    const other = await redirecting()
    const url = await redirecting()
    const same = await echoed(make()(`${url}/302`, { headers }))
    expect(same.headers.authorization).toBe('Bearer x')
    const away = await echoed(make()(`${url}/where/${encodeURIComponent(`${other}/to`)}`, { headers }))
    expect([away.headers.authorization, away.headers.cookie, away.headers['x-a']]).toEqual([
      undefined,
      undefined,
      '1',
    ])
  })

  it('that ask for a stream again are refused, unless they drop it', async () => {
    const url = await redirecting()
    const init = () => ({ method: 'POST', body: new Blob(['x']).stream(), duplex: 'half' }) as RequestInit
    expect(await rejection(make()(`${url}/307`, init()))).toBeInstanceOf(TypeError)
    expect((await echoed(make()(`${url}/303`, init()))).method).toBe('GET')
  })
})
