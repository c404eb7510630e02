import { ModalsProvider } from '@mantine/modals';
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router';
import { Refusal } from './api/client';
import { q, queryClient } from './api/queries';
import { may } from './may';
import { Crash, Lost, Waiting } from './parts/problem';
import { SignIn } from './rooms/sign-in';
import { Shell } from './shell';
import { t } from './texts';

type Search = Record<string, unknown>;
const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);

/** Keeps the named parameters that are text; a link from anywhere cannot bring others. */
function texts<K extends string>(...names: K[]) {
  return (search: Search) => {
    const kept: { [P in K]?: string } = {};
    for (const name of names) {
      const value = text(search[name]);
      if (value !== undefined) kept[name] = value;
    }
    return kept;
  };
}

// A dialog's header is no banner of the page.
const dialogs = {
  closeButtonProps: { 'aria-label': t.common.close },
  attributes: { header: { role: 'presentation' } },
};

/** Dialogs stand inside the router, so that what is in them can lead to a room. */
function Root() {
  return (
    <ModalsProvider modalProps={dialogs}>
      <Outlet />
    </ModalsProvider>
  );
}

const root = createRootRoute({ component: Root, notFoundComponent: Lost });

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: texts('link', 'next'),
  component: SignIn,
});

const shell = createRoute({
  getParentRoute: () => root,
  id: 'shell',
  component: Shell,
  pendingComponent: Waiting,
  errorComponent: Crash,
  beforeLoad: async ({ location }) => {
    try {
      await queryClient.ensureQueryData(q.session);
    } catch (error) {
      if (error instanceof Refusal && (error.status === 401 || error.status === 403)) {
        throw redirect({ to: '/sign-in', search: location.href === '/' ? {} : { next: location.href } });
      }
      throw error;
    }
  },
});

const inShell = { getParentRoute: () => shell, errorComponent: Crash } as const;

const overview = createRoute({
  ...inShell,
  path: '/',
  // A custodian has one room.
  beforeLoad: async () => {
    const session = await queryClient.ensureQueryData(q.session);
    if (!may(session, 'overview:read') && may(session, 'messages:transcript')) {
      throw redirect({ to: '/conversations' });
    }
  },
  component: lazyRouteComponent(() => import('./rooms/overview'), 'Overview'),
});
const activity = createRoute({
  ...inShell,
  path: '/activity',
  validateSearch: texts(
    'recipient',
    'sender',
    'message_id',
    'subject',
    'outcome',
    'direction',
    'time',
    'from',
    'to',
  ),
  component: lazyRouteComponent(() => import('./rooms/activity'), 'Activity'),
});
const message = createRoute({
  ...inShell,
  path: '/activity/$id',
  component: lazyRouteComponent(() => import('./rooms/message'), 'MessageRoom'),
});
const caught = createRoute({
  ...inShell,
  path: '/caught',
  component: lazyRouteComponent(() => import('./rooms/caught'), 'CaughtRoom'),
});
const caughtOne = createRoute({
  ...inShell,
  path: '/caught/$id',
  component: lazyRouteComponent(() => import('./rooms/caught'), 'CaughtRoom'),
});
const queue = createRoute({
  ...inShell,
  path: '/queue',
  validateSearch: texts('state', 'domain'),
  component: lazyRouteComponent(() => import('./rooms/queue'), 'QueueRoom'),
});
const domains = createRoute({
  ...inShell,
  path: '/domains',
  component: lazyRouteComponent(() => import('./rooms/domains'), 'Domains'),
});
const domain = createRoute({
  ...inShell,
  path: '/domains/$id',
  component: lazyRouteComponent(() => import('./rooms/domains'), 'DomainRoom'),
});
const routes = createRoute({
  ...inShell,
  path: '/routes',
  component: lazyRouteComponent(() => import('./rooms/routes'), 'Routes'),
});
const access = createRoute({
  ...inShell,
  path: '/access',
  component: lazyRouteComponent(() => import('./rooms/access'), 'Access'),
});
const suppressions = createRoute({
  ...inShell,
  path: '/suppressions',
  component: lazyRouteComponent(() => import('./rooms/suppressions'), 'Suppressions'),
});
const protocol = createRoute({
  ...inShell,
  path: '/conversations',
  component: lazyRouteComponent(() => import('./rooms/protocol'), 'Protocol'),
});
const controls = createRoute({
  ...inShell,
  path: '/controls',
  validateSearch: texts('tab', 'standard'),
  component: lazyRouteComponent(() => import('./rooms/controls'), 'Controls'),
});
const subject = createRoute({
  ...inShell,
  path: '/subjects',
  validateSearch: texts('tab'),
  component: lazyRouteComponent(() => import('./rooms/subject'), 'SubjectRoom'),
});
const inventory = createRoute({
  ...inShell,
  path: '/inventory',
  component: lazyRouteComponent(() => import('./rooms/inventory'), 'Inventory'),
});
const policy = createRoute({
  ...inShell,
  path: '/policy',
  component: lazyRouteComponent(() => import('./rooms/policy'), 'Policy'),
});
const documents = createRoute({
  ...inShell,
  path: '/documents',
  component: lazyRouteComponent(() => import('./rooms/documents'), 'Documents'),
});
const incidents = createRoute({
  ...inShell,
  path: '/incidents',
  component: lazyRouteComponent(() => import('./rooms/incidents'), 'Incidents'),
});
const document = createRoute({
  ...inShell,
  path: '/documents/$kind',
  validateSearch: texts('tab'),
  component: lazyRouteComponent(() => import('./rooms/document'), 'DocumentRoom'),
});
const incident = createRoute({
  ...inShell,
  path: '/incidents/$id',
  component: lazyRouteComponent(() => import('./rooms/incident'), 'IncidentRoom'),
});
const supply = createRoute({
  ...inShell,
  path: '/sub-processors',
  component: lazyRouteComponent(() => import('./rooms/supply'), 'Supply'),
});
const alerts = createRoute({
  ...inShell,
  path: '/alerts',
  component: lazyRouteComponent(() => import('./rooms/alerts'), 'Alerts'),
});
const findings = createRoute({
  ...inShell,
  path: '/findings',
  component: lazyRouteComponent(() => import('./rooms/findings'), 'Findings'),
});
const attestations = createRoute({
  ...inShell,
  path: '/attestations',
  component: lazyRouteComponent(() => import('./rooms/attestations'), 'Attestations'),
});
const lawful = createRoute({
  ...inShell,
  path: '/lawful-requests',
  component: lazyRouteComponent(() => import('./rooms/lawful'), 'Lawful'),
});
const grants = createRoute({
  ...inShell,
  path: '/staff-access',
  component: lazyRouteComponent(() => import('./rooms/grants'), 'Grants'),
});
const users = createRoute({
  ...inShell,
  path: '/users',
  component: lazyRouteComponent(() => import('./rooms/users'), 'Users'),
});
const customers = createRoute({
  ...inShell,
  path: '/customers',
  component: lazyRouteComponent(() => import('./rooms/customers'), 'Customers'),
});

const profile = createRoute({
  ...inShell,
  path: '/profile',
  component: lazyRouteComponent(() => import('./rooms/profile'), 'Profile'),
});

export const router = createRouter({
  routeTree: root.addChildren([
    signIn,
    shell.addChildren([
      overview,
      activity,
      message,
      caught,
      caughtOne,
      queue,
      domains,
      domain,
      routes,
      access,
      suppressions,
      protocol,
      controls,
      subject,
      inventory,
      policy,
      documents,
      document,
      supply,
      incidents,
      incident,
      alerts,
      findings,
      attestations,
      lawful,
      grants,
      users,
      customers,
      profile,
    ]),
  ]),
  defaultPreload: 'intent',
  defaultPendingComponent: Waiting,
  scrollRestoration: true,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
