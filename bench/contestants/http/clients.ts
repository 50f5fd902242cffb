// Single libraries, each with the retries and the timeout that it brings itself.

import type { HttpContestant, MakeHttp } from './contestant.ts'
import { PATH, RETRIES, TIMEOUT_MS } from './contestant.ts'

const JSON_HEADERS = { 'content-type': 'application/json' }

/** undici's docs, api/RetryAgent.md: wrap an Agent once, pass it as `dispatcher`. Timeouts are the Agent's. */
export const undiciRetryAgent: MakeHttp = async (origin) => {
  const { Agent, RetryAgent, request } = await import('undici')
  const dispatcher = new RetryAgent(new Agent({ headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS }), {
    maxRetries: RETRIES,
  })
  const url = origin + PATH
  return {
    async get() {
      const { body } = await request(url, { dispatcher })
      return body.json()
    },
    async post(document) {
      const { body } = await request(url, {
        dispatcher,
        method: 'POST',
        headers: JSON_HEADERS,
        body: JSON.stringify(document),
      })
      return body.json()
    },
  }
}

/** got's docs, 10-instances.md (`got.extend`), 6-timeout.md and 7-retry.md; retry limit 2 is its default. */
export const got: MakeHttp = async (origin) => {
  const { default: base } = await import('got')
  const client = base.extend({
    prefixUrl: origin,
    timeout: { request: TIMEOUT_MS },
    retry: { limit: RETRIES },
  })
  const path = PATH.slice(1)
  return {
    get: () => client.get(path).json(),
    post: (json) => client.post(path, { json }).json(),
  }
}

/** ky's README, `ky.create`: retry limit 2 is its default. */
export const ky: MakeHttp = async (origin) => {
  const { default: base } = await import('ky')
  const client = base.create({ timeout: TIMEOUT_MS, retry: RETRIES })
  const url = origin + PATH
  return {
    get: () => client.get(url).json(),
    post: (json) => client.post(url, { json }).json(),
  }
}

/** ofetch's README, "Create fetch with default options". */
export const ofetch: MakeHttp = async (origin) => {
  const { ofetch: base } = await import('ofetch')
  const client = base.create({ baseURL: origin, timeout: TIMEOUT_MS, retry: RETRIES })
  return {
    get: () => client(PATH),
    post: (body) => client(PATH, { method: 'POST', body: body as Record<string, unknown> }),
  }
}

async function axiosInstance(origin: string) {
  const { default: axios } = await import('axios')
  return axios.create({ baseURL: origin, timeout: TIMEOUT_MS })
}

/** axios's README, "Creating an instance". It has no retry. */
export const axios: MakeHttp = async (origin) => {
  const client = await axiosInstance(origin)
  return {
    get: async () => (await client.get(PATH)).data,
    post: async (body) => (await client.post(PATH, body)).data,
  }
}

/** axios-retry's README, "Usage": on an instance, with exponential delay. */
export const axiosRetry: MakeHttp = async (origin): Promise<HttpContestant> => {
  const client = await axiosInstance(origin)
  const { default: retry, exponentialDelay } = await import('axios-retry')
  retry(client, { retries: RETRIES, retryDelay: exponentialDelay, shouldResetTimeout: true })
  return {
    get: async () => (await client.get(PATH)).data,
    post: async (body) => (await client.post(PATH, body)).data,
  }
}
