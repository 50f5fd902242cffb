// The server of the section `session`: its sessions lie in its memory.

import { answer } from '../harness/child.ts'
import { manySessions } from '../servers/sessions.ts'

answer(manySessions().calls)
