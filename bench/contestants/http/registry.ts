// Every HTTP contestant by id: its name in the report, what it protects against, and where it is made.
// Loaded lazily: a process holds the libraries of its own contestant only.

import type { MakeHttp } from './contestant.ts'

export interface HttpEntry {
  name: string
  kind: 'baseline' | 'ours' | 'client' | 'stack'
  retry: boolean
  breaker: boolean
  limiter: boolean
  timeout: boolean
  load: () => Promise<MakeHttp>
}

const clients = () => import('./clients.ts')
const stacks = () => import('./stacks.ts')
const guru = () => import('./guru.ts')
const baselines = () => import('./baselines.ts')

export const HTTP_REFERENCE = 'undici'

export const httpContestants: Record<string, HttpEntry> = {
  undici: {
    name: 'undici.request',
    kind: 'baseline',
    ...shields(''),
    load: async () => (await baselines()).undiciRequest,
  },
  fetch: {
    name: 'fetch (Node)',
    kind: 'baseline',
    ...shields(''),
    load: async () => (await baselines()).globalFetch,
  },
  guru: {
    name: 'guru-comms ApiClient',
    kind: 'ours',
    ...shields('retry breaker limiter timeout'),
    load: async () => (await guru()).apiClient,
  },
  'guru-bare': {
    name: 'guru-comms, breaker and limiter off',
    kind: 'ours',
    ...shields('timeout'),
    load: async () => (await guru()).apiClientBare,
  },
  'guru-fetch': {
    name: 'guru-comms client.fetch',
    kind: 'ours',
    ...shields('retry breaker limiter timeout'),
    load: async () => (await guru()).apiClientFetch,
  },
  'undici-retry': {
    name: 'undici RetryAgent',
    kind: 'client',
    ...shields('retry timeout'),
    load: async () => (await clients()).undiciRetryAgent,
  },
  got: {
    name: 'got',
    kind: 'client',
    ...shields('retry timeout'),
    load: async () => (await clients()).got,
  },
  ky: {
    name: 'ky',
    kind: 'client',
    ...shields('retry timeout'),
    load: async () => (await clients()).ky,
  },
  ofetch: {
    name: 'ofetch',
    kind: 'client',
    ...shields('retry timeout'),
    load: async () => (await clients()).ofetch,
  },
  axios: {
    name: 'axios',
    kind: 'client',
    ...shields('timeout'),
    load: async () => (await clients()).axios,
  },
  'axios-retry': {
    name: 'axios + axios-retry',
    kind: 'client',
    ...shields('retry timeout'),
    load: async () => (await clients()).axiosRetry,
  },
  'undici-cockatiel': {
    name: 'RetryAgent + cockatiel',
    kind: 'stack',
    ...shields('retry breaker timeout'),
    load: async () => (await stacks()).retryAgentCockatiel,
  },
  'undici-cockatiel-limiter': {
    name: 'RetryAgent + cockatiel + limiter',
    kind: 'stack',
    ...shields('retry breaker limiter timeout'),
    load: async () => (await stacks()).retryAgentCockatielLimiter,
  },
  'axios-opossum': {
    name: 'axios + axios-retry + opossum',
    kind: 'stack',
    ...shields('retry breaker timeout'),
    load: async () => (await stacks()).axiosRetryOpossum,
  },
  'got-opossum': {
    name: 'got + opossum',
    kind: 'stack',
    ...shields('retry breaker timeout'),
    load: async () => (await stacks()).gotOpossum,
  },
  'ky-cockatiel-bottleneck': {
    name: 'ky + cockatiel + Bottleneck',
    kind: 'stack',
    ...shields('retry breaker limiter timeout'),
    load: async () => (await stacks()).kyCockatielBottleneck,
  },
}

function shields(words: string): Pick<HttpEntry, 'retry' | 'breaker' | 'limiter' | 'timeout'> {
  const has = (word: string) => words.split(' ').includes(word)
  return { retry: has('retry'), breaker: has('breaker'), limiter: has('limiter'), timeout: has('timeout') }
}
