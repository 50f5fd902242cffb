// The bare transports everything else is measured against: no retry, no breaker, no limiter, no timeout of their own.

import { request } from 'undici'
import { type MakeHttp, PATH } from './contestant.ts'

const JSON_HEADERS = { 'content-type': 'application/json' }

/** undici's README, "Quick start" and "Basic request": `request` on the global dispatcher, the body always read. */
export const undiciRequest: MakeHttp = (origin) => {
  const url = origin + PATH
  return {
    async get() {
      const { body } = await request(url)
      return body.json()
    },
    async post(document) {
      const { body } = await request(url, {
        method: 'POST',
        headers: JSON_HEADERS,
        body: JSON.stringify(document),
      })
      return body.json()
    },
  }
}

/** Node's own `fetch`. */
export const globalFetch: MakeHttp = (origin) => {
  const url = origin + PATH
  return {
    async get() {
      return (await fetch(url)).json()
    },
    async post(document) {
      const response = await fetch(url, {
        method: 'POST',
        headers: JSON_HEADERS,
        body: JSON.stringify(document),
      })
      return response.json()
    },
  }
}
