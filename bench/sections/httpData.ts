// The loads of the HTTP section, and the figures it keeps.

import type { Contest } from '../harness/rounds.ts'

export const workloads = {
  get50: { title: 'GET 1 KB, 50 at a time', task: 'get', concurrency: 50, server: 'http' },
  post50: { title: 'POST 1 KB of JSON, 50 at a time', task: 'post', concurrency: 50, server: 'http' },
  get1: { title: 'GET 1 KB, one at a time', task: 'get', concurrency: 1, server: 'http' },
  bare50: {
    title: 'GET 1 KB, 50 at a time, a server that hardly works',
    task: 'get',
    concurrency: 50,
    server: 'bareHttp',
  },
} as const

export type Workload = keyof typeof workloads

export interface HttpData {
  contests: Record<Workload, Contest>
  /** Median heap bytes and GC time per call of `get50`. */
  allocation: Record<string, { bytes: number; gcUs: number }>
  callsMade: number
  requestsServed: number
}
