import {
  AppShell,
  Burger,
  Group,
  Menu,
  NavLink,
  ScrollArea,
  SegmentedControl,
  Text,
  UnstyledButton,
  useMantineColorScheme,
  VisuallyHidden,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import {
  IconActivity,
  IconBan,
  IconBell,
  IconBug,
  IconBuilding,
  IconBuildingFactory2,
  IconCertificate,
  IconDeviceDesktop,
  IconFileText,
  IconGavel,
  IconInbox,
  IconKey,
  IconLayoutDashboard,
  IconLockAccess,
  IconLogout,
  IconMessages,
  IconMoon,
  IconRoute,
  IconScale,
  IconSelector,
  IconShieldCheck,
  IconShieldExclamation,
  IconStack2,
  IconSun,
  IconTable,
  IconUser,
  IconUserSearch,
  IconUsers,
  IconWorld,
} from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router';
import { type ComponentType, useEffect, useRef } from 'react';
import { api, must } from './api/client';
import { q, queryClient } from './api/queries';
import type { Session } from './api/shapes';
import { may, offers } from './may';
import css from './shell.module.css';
import { t } from './texts';

type Room = {
  to: string;
  label: string;
  icon: ComponentType<{ size?: number; stroke?: number }>;
  needs?: string;
  feature?: string;
};

const groups: { label: string; rooms: Room[] }[] = [
  {
    label: t.nav.mail,
    rooms: [
      { to: '/', label: t.nav.overview, icon: IconLayoutDashboard, needs: 'overview:read' },
      { to: '/activity', label: t.nav.activity, icon: IconActivity, needs: 'messages:read' },
      { to: '/caught', label: t.nav.caught, icon: IconInbox, feature: 'caught' },
      { to: '/queue', label: t.nav.queue, icon: IconStack2, needs: 'queue:read' },
      { to: '/conversations', label: t.nav.protocol, icon: IconMessages, needs: 'messages:transcript' },
    ],
  },
  {
    label: t.nav.setup,
    rooms: [
      { to: '/domains', label: t.nav.domains, icon: IconWorld, needs: 'domains:read' },
      { to: '/routes', label: t.nav.routes, icon: IconRoute, needs: 'routes:read' },
      { to: '/access', label: t.nav.access, icon: IconKey, needs: 'tokens:manage' },
      { to: '/suppressions', label: t.nav.suppressions, icon: IconBan, needs: 'suppressions:read' },
    ],
  },
  {
    label: t.nav.trust,
    rooms: [
      { to: '/policy', label: t.nav.policy, icon: IconScale, needs: 'policy:read' },
      { to: '/documents', label: t.nav.documents, icon: IconFileText, needs: 'policy:read' },
      { to: '/sub-processors', label: t.nav.supply, icon: IconBuildingFactory2, needs: 'policy:read' },
      { to: '/subjects', label: t.nav.subject, icon: IconUserSearch, needs: 'subjects:manage' },
      { to: '/inventory', label: t.nav.inventory, icon: IconTable, needs: 'evidence:read' },
    ],
  },
  {
    label: t.nav.assurance,
    rooms: [
      { to: '/alerts', label: t.nav.alerts, icon: IconBell, needs: 'assurance:read' },
      { to: '/controls', label: t.nav.controls, icon: IconShieldCheck, needs: 'evidence:read' },
      { to: '/incidents', label: t.nav.incidents, icon: IconShieldExclamation, needs: 'incidents:read' },
      { to: '/findings', label: t.nav.findings, icon: IconBug, needs: 'assurance:read' },
      { to: '/attestations', label: t.nav.attestations, icon: IconCertificate, needs: 'assurance:read' },
      { to: '/lawful-requests', label: t.nav.lawful, icon: IconGavel, needs: 'lawful:manage' },
      { to: '/staff-access', label: t.nav.grants, icon: IconLockAccess, needs: 'evidence:read' },
    ],
  },
  {
    label: t.nav.people,
    rooms: [
      { to: '/users', label: t.nav.users, icon: IconUsers, needs: 'users:read' },
      { to: '/customers', label: t.nav.customers, icon: IconBuilding, needs: 'platform:read' },
    ],
  },
];

/** The frame of every room: skip link, navigation, account, content. */
export function Shell() {
  const [open, { toggle, close }] = useDisclosure(false);
  const path = useRouterState({ select: (s) => s.location.pathname });
  const session = useQuery(q.session).data;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the menu closes when the room changes
  useEffect(close, [path]);
  return (
    <>
      <a href="#content" className={css.skip}>
        {t.skip}
      </a>
      <AppShell
        header={{ height: { base: 56, sm: 0 } }}
        navbar={{ width: 244, breakpoint: 'sm', collapsed: { mobile: !open } }}
        padding={0}
        withBorder={false}
      >
        <AppShell.Header hiddenFrom="sm" className={css.header}>
          <Group h="100%" px="md" justify="space-between">
            <Brand />
            <Burger
              opened={open}
              onClick={toggle}
              size="sm"
              aria-expanded={open}
              aria-controls="rooms"
              aria-label={open ? t.nav.close : t.nav.open}
            />
          </Group>
        </AppShell.Header>
        <AppShell.Navbar className={css.navbar} id="rooms" aria-label={t.nav.label}>
          <div className={css.brandRow}>
            <Brand />
          </div>
          <ScrollArea className={css.scroll} type="auto" scrollbarSize={6}>
            {session && <Rooms session={session} path={path} />}
          </ScrollArea>
          {session && <Account session={session} />}
        </AppShell.Navbar>
        <AppShell.Main id="content" tabIndex={-1} className={css.main}>
          <Outlet />
        </AppShell.Main>
      </AppShell>
    </>
  );
}

function Brand() {
  return (
    <Link to="/" className={css.brand}>
      <img src="/mark.svg" alt="" width={26} height={26} />
      {t.product}
    </Link>
  );
}

function Rooms({ session, path }: { session: Session; path: string }) {
  const list = useRef<HTMLDivElement>(null);
  // Of a long list the room that is open is in sight, wherever the visit began.
  useEffect(() => {
    if (path) list.current?.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest' });
  }, [path]);
  return (
    <div ref={list}>
      {groups.map((group) => {
        const rooms = group.rooms.filter((r) => may(session, r.needs) && offers(session, r.feature));
        if (rooms.length === 0) return null;
        return (
          <div key={group.label} className={css.group}>
            <div className={css.groupLabel} id={`rooms-${group.label}`}>
              {group.label}
            </div>
            <ul className={css.rooms} aria-labelledby={`rooms-${group.label}`}>
              {rooms.map((room) => {
                const active = room.to === '/' ? path === '/' : path.startsWith(room.to);
                return (
                  <li key={room.to}>
                    <NavLink
                      component={Link}
                      to={room.to}
                      label={room.label}
                      leftSection={<room.icon size={17} stroke={1.7} aria-hidden />}
                      active={active}
                      aria-current={active ? 'page' : undefined}
                      className={css.room}
                    />
                  </li>
                );
              })}
            </ul>
          </div>
        );
      })}
    </div>
  );
}

function Account({ session }: { session: Session }) {
  const navigate = useNavigate();
  const who = session.user.name || session.user.email;
  async function signOut() {
    await must(api.DELETE('/v1/session')).catch(() => undefined);
    queryClient.clear();
    await navigate({ to: '/sign-in' });
  }
  return (
    <div className={css.account}>
      <Scheme />
      <Menu width={220} position="top-start">
        <Menu.Target>
          <UnstyledButton className={css.who}>
            <span className={css.face} aria-hidden>
              {who.slice(0, 1).toUpperCase()}
            </span>
            <span className={css.whoText}>
              <Text size="sm" fw={550} truncate>
                {who}
              </Text>
              {session.customer && (
                <Text size="xs" c="dimmed" truncate>
                  {session.customer.name}
                </Text>
              )}
            </span>
            <VisuallyHidden>{t.nav.account}</VisuallyHidden>
            <IconSelector size={15} aria-hidden />
          </UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>
            {t.nav.signedInAs}
            <Text size="sm" c="var(--mantine-color-text)" truncate>
              {session.user.email}
            </Text>
          </Menu.Label>
          <Menu.Item component={Link} to="/profile" leftSection={<IconUser size={15} />}>
            {t.profile.title}
          </Menu.Item>
          <Menu.Item leftSection={<IconLogout size={15} />} onClick={signOut}>
            {t.nav.signOut}
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </div>
  );
}

const schemes = [
  { value: 'auto', label: t.nav.schemeAuto, icon: IconDeviceDesktop },
  { value: 'light', label: t.nav.schemeLight, icon: IconSun },
  { value: 'dark', label: t.nav.schemeDark, icon: IconMoon },
];

function Scheme() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <SegmentedControl
      size="xs"
      fullWidth
      aria-label={t.nav.scheme}
      value={colorScheme}
      onChange={(v) => setColorScheme(v as 'auto' | 'light' | 'dark')}
      data={schemes.map((s) => ({
        value: s.value,
        label: (
          <span className={css.scheme} title={s.label}>
            <s.icon size={15} stroke={1.7} aria-hidden />
            <VisuallyHidden>{s.label}</VisuallyHidden>
          </span>
        ),
      }))}
    />
  );
}
