import { seq } from '@tidemark/protocol/cursor';
import { at, EPOCH, failedRun } from '@tidemark/testing/facts';
import { type Case, failing, replica, snapshot, testCases } from '@tidemark/testing/status-cases';

const CASES: Case[] = [
  {
    code: 'offline',
    severity: 'warn',
    facts: { online: false },
    headline: 'This PC is offline',
    detail: 'No network connection. Showing data as of 10:40. Will retry when the network is back',
    short: 'Offline – data as of 10:40',
    primary: 'retry',
  },
  {
    code: 'unreachable',
    severity: 'warn',
    facts: {
      ...failing('relay_unreachable', {
        relay: 'relay.example:443',
        detail: 'timed out after 10 s',
      }),
      retry: { attempt: 3, nextAt: at(-25_000) },
    },
    headline: 'Cannot reach HQ-1',
    detail:
      'relay.example:443 did not answer (timed out after 10 s). It last answered at 10:41. Showing data as of 10:40. Local data is safe. Retrying in 0:25 (attempt 3)',
    short: 'Sync server not reachable',
    primary: 'retry',
  },
  {
    code: 'proxy',
    severity: 'error',
    facts: failing('relay_not_tidemark', { relay: 'relay.example:443' }),
    headline: 'The network blocks HQ-1',
    detail:
      'Something else answered instead of the sync server at relay.example:443, such as a proxy or a sign-in page. Local data is safe',
    short: 'Blocked by network',
    primary: 'retry',
  },
  {
    code: 'busy',
    severity: 'info',
    facts: {
      ...failing('relay_busy'),
      retry: { attempt: 1, nextAt: at(-180_000) },
    },
    headline: 'HQ-1 is busy',
    detail: 'It asked this PC to wait until 10:45:00. Local data is safe',
    short: 'Sync server busy',
    primary: 'retry',
  },
  {
    code: 'busy',
    name: 'while changes are compacted',
    severity: 'info',
    facts: { ...failing('squash_building'), retry: { attempt: 1, nextAt: at(-5000) } },
    headline: 'HQ-1 is preparing the changes',
    detail: 'The sync continues automatically. Retrying in 0:05 (attempt 1). Local data is safe',
    short: 'Preparing the changes',
    primary: 'retry',
  },
  {
    code: 'altered',
    severity: 'info',
    facts: failing('replica_altered', { table: 'orders', detail: 'a column was dropped' }),
    headline: 'Another program changed data on this PC',
    detail:
      'Table orders: a column was dropped. The next sync repairs it. Other programs should only read. The data here stays readable during the download',
    short: 'Repair is due',
    primary: 'sync-now',
  },
  {
    code: 'differs',
    severity: 'warn',
    facts: failing('replica_differs', { rows: 15, tables: 'orders, customer' }),
    headline: 'Data on this PC differs from the sync server: 15 rows in orders, customer',
    detail: 'Nothing was changed. Verify downloads only those rows',
    short: 'Data differs from sync server',
    primary: 'verify',
  },
  {
    code: 'differs',
    name: 'one row',
    severity: 'warn',
    facts: failing('replica_differs', { rows: 1, tables: 'orders' }),
    headline: 'Data on this PC differs from the sync server: 1 row in orders',
    detail: 'Nothing was changed. Verify downloads only those rows',
    short: 'Data differs from sync server',
    primary: 'verify',
  },
  {
    code: 'failed',
    name: 'a failed comparison',
    severity: 'error',
    facts: { lastRun: failedRun({ code: 'page_corrupt', params: {} }, { mode: 'verify', left: null }) },
    headline: 'Verify stopped: data arrived damaged and was discarded',
    detail: 'Nothing was lost. Try again',
    short: 'Verify failed',
    primary: 'retry',
  },
  {
    code: 'signed-out',
    severity: 'error',
    facts: failing('token_invalid'),
    headline: 'Sign-in needed',
    detail: "HQ-1 does not accept this PC's key. Ask your administrator for a new key. Local data is safe",
    short: 'Needs attention',
    primary: 'enter-key',
  },
  {
    code: 'forbidden',
    severity: 'error',
    facts: failing('feed_denied', { feed: 'shop' }),
    headline: 'Not allowed',
    detail: 'This key does not give access to the data set shop. Ask your administrator. Local data is safe',
    short: 'Needs attention',
    primary: 'copy-details',
  },
  {
    code: 'cert',
    severity: 'error',
    facts: failing('relay_cert', { detail: 'expired yesterday' }),
    headline: 'The identity of HQ-1 could not be verified',
    detail: 'Certificate: expired yesterday. Nothing was sent. Local data is safe',
    short: 'Needs attention',
    primary: 'copy-details',
  },
  {
    code: 'upgrade',
    severity: 'error',
    facts: failing('protocol_unsupported'),
    headline: 'Update required',
    detail:
      'The sync server and this program use different versions of the protocol. Update the older of the two. Local data is safe',
    short: 'Update required',
    primary: 'retry',
  },
  {
    code: 'resync',
    severity: 'error',
    facts: snapshot('behind_horizon'),
    headline: 'This PC was away too long',
    detail:
      'HQ-1 no longer keeps all the changes that are waiting. A fresh copy is needed: 6 tables, about 21 MB. The data here stays until the copy is complete',
    short: 'Fresh copy needed',
    primary: 'recopy',
  },
  {
    code: 'rewound',
    severity: 'error',
    facts: {
      ...snapshot('cursor_ahead'),
      replica: replica({ cursor: { epoch: EPOCH, seq: seq(6000) } }),
      ...failing('cursor_ahead'),
    },
    headline: 'This PC has newer data than HQ-1',
    detail:
      'This PC is at position 6,000, HQ-1 at 5,310. HQ-1 was probably restored from a backup. Verify downloads only the rows that differ. The data here stays readable during the download',
    short: 'Needs attention',
    primary: 'verify',
  },
  {
    code: 'rewound',
    name: 'another epoch',
    severity: 'error',
    facts: snapshot('epoch_changed'),
    headline: 'The history of HQ-1 was reset',
    detail:
      'This PC cannot continue from its position. A fresh copy is needed: 6 tables, about 21 MB. The data here stays until the copy is complete',
    short: 'Needs attention',
    primary: 'recopy',
  },
  {
    code: 'failed',
    severity: 'error',
    facts: {
      lastRun: failedRun({ code: 'page_corrupt', params: {} }, { inserted: 1240, left: 4070 }),
    },
    headline: 'Sync stopped: data arrived damaged and was discarded',
    detail: '1,240 of 5,310 changes were saved. Nothing was lost. Try again',
    short: 'Sync failed',
    primary: 'retry',
  },
  {
    code: 'failed',
    name: 'a database that cannot be written',
    severity: 'error',
    facts: {
      replica: replica({
        cursor: null,
        fault: {
          code: 'db_read_only',
          params: { file: '/data/branch.sqlite' },
        },
      }),
    },
    headline: 'Sync stopped: the database /data/branch.sqlite cannot be written',
    detail: 'Nothing was changed. Check the permissions of the file and its folder',
    short: 'Needs attention',
    primary: 'retry',
  },
  {
    code: 'disk-full',
    severity: 'error',
    facts: failing('disk_full', {
      detail: '120 MB free on C:, about 400 MB needed',
    }),
    headline: 'Not enough disk space',
    detail: '120 MB free on C:, about 400 MB needed. Free some disk space, then try again. Nothing was lost',
    short: 'Disk full',
    primary: 'retry',
  },
  {
    code: 'db-locked',
    severity: 'warn',
    facts: {
      replica: replica({
        fault: { code: 'db_in_use', params: { file: 'app.db' } },
      }),
    },
    headline: 'The local database is in use',
    detail: 'Another program keeps app.db in use. Close that program, then try again. Nothing was lost',
    short: 'Database in use',
    primary: 'retry',
  },
  {
    code: 'db-damaged',
    severity: 'error',
    facts: {
      replica: replica({
        fault: {
          code: 'db_damaged',
          params: { file: 'app.db', detail: 'malformed page 7' },
        },
      }),
    },
    headline: 'The local database is damaged',
    detail: 'The local database app.db is damaged. Head office still has all of its data',
    short: 'Needs attention',
    primary: 'recopy',
  },
];

testCases('fault', CASES);
