// Ours. Every default policy is on; only the limits of the limiter are raised, so that it counts but never refuses.

import { ApiClient } from 'guru-comms/ApiClient'
import { type MakeHttp, PATH } from './contestant.ts'

const UNLIMITED = { tokensPerSecond: 1e9, burstCapacity: 1e9 }

function client(origin: string): ApiClient {
  return new ApiClient({ baseURL: origin, rateLimiterOptions: { limits: { api: UNLIMITED } } })
}

/** All defaults: retry, breaker, limiter, timeout. */
export const apiClient: MakeHttp = (origin) => {
  const api = client(origin)
  return {
    get: () => api.get(PATH),
    post: (body) => api.post(PATH, body),
  }
}

/** The same client through its `fetch`, against the platform's. */
export const apiClientFetch: MakeHttp = (origin) => {
  const api = client(origin)
  const url = origin + PATH
  const headers = { 'content-type': 'application/json' }
  return {
    async get() {
      return (await api.fetch(url)).json()
    },
    async post(document) {
      const response = await api.fetch(url, { method: 'POST', headers, body: JSON.stringify(document) })
      return response.json()
    },
  }
}

/** Breaker and limiter off, no retries: what the shell itself costs. */
export const apiClientBare: MakeHttp = (origin) => {
  const api = new ApiClient({ baseURL: origin, circuitBreaker: false, rateLimiter: false, retries: 0 })
  return {
    get: () => api.get(PATH),
    post: (body) => api.post(PATH, body),
  }
}
