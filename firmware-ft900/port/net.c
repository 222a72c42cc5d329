#include <string.h>

#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/timeouts.h"
#include "netif/ethernet.h"
#include "port/port.h"

/** The link's state is asked for this often, in ms: over MII it costs a bus transaction. */
#define LINK_POLL_MS 100u
/** Frames that one turn of the loop takes in, so that timers and the session get their turn under load. */
#define FRAMES_PER_POLL 8u
/** A frame without payload: an acknowledgement, an ARP answer. */
#define SMALL_FRAME 64u

static struct netif interface;
static bool use_dhcp;
static uint32_t link_polled_ms;

/*
 * Where the pool is empty because the application holds requests back, acknowledgements must still come through:
 * they are what lets answers leave, and so what frees the pool. They go through this one buffer.
 */
static struct pbuf_custom spare;
static uint8_t spare_bytes[SMALL_FRAME];
static bool spare_used;

static void free_spare(struct pbuf *unused) {
  (void)unused;
  spare_used = false;
}

uint32_t sys_now(void) { return pt_port_hal()->now_ms(pt_port_hal()->ctx); }

/* Aligned for the board's FIFO, which takes 32 bits at a time. */
static uint32_t frame_words[(POSTERN_FRAME_MAX + 3u) / 4u];

static err_t link_output(struct netif *netif, struct pbuf *p) {
  const struct postern_hal *hal = pt_port_hal();
  (void)netif;
  if (p->tot_len > POSTERN_FRAME_MAX) return ERR_ARG;
  u16_t length = pbuf_copy_partial(p, frame_words, p->tot_len, 0);
  return hal->eth_transmit(hal->ctx, (const uint8_t *)frame_words, length) ? ERR_OK : ERR_IF;
}

static err_t init_interface(struct netif *netif) {
  netif->name[0] = 'e';
  netif->name[1] = 'n';
  netif->mtu = TCP_MSS + 40; /* also what we tell others to send at most */
  netif->hwaddr_len = ETH_HWADDR_LEN;
  netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
  netif->output = etharp_output;
  netif->linkoutput = link_output;
  return ERR_OK;
}

static void to_ip(ip4_addr_t *ip, const uint8_t bytes[4]) { IP4_ADDR(ip, bytes[0], bytes[1], bytes[2], bytes[3]); }

void pt_net_init(const struct pt_config *config, const uint8_t mac[POSTERN_MAC_LENGTH]) {
  ip4_addr_t address = {0};
  ip4_addr_t netmask = {0};
  ip4_addr_t gateway = {0};
  lwip_init();
  memcpy(interface.hwaddr, mac, POSTERN_MAC_LENGTH);
  use_dhcp = !config->has_network;
  if (config->has_network) {
    ip_addr_t dns;
    ip4_addr_t dns4;
    to_ip(&address, config->network.address);
    to_ip(&netmask, config->network.netmask);
    to_ip(&gateway, config->network.gateway);
    to_ip(&dns4, config->network.dns);
    ip_addr_copy_from_ip4(dns, dns4);
    if (config->network.dns[0] != 0) dns_setserver(0, &dns);
  }
  (void)netif_add(&interface, &address, &netmask, &gateway, NULL, init_interface, ethernet_input);
  memcpy(interface.hwaddr, mac, POSTERN_MAC_LENGTH);
  pt_port_hal()->eth_set_mac(pt_port_hal()->ctx, mac);
  netif_set_default(&interface);
  netif_set_up(&interface);
  link_polled_ms = sys_now() - LINK_POLL_MS;
}

static void poll_link(void) {
  const struct postern_hal *hal = pt_port_hal();
  uint32_t now = sys_now();
  if (now - link_polled_ms < LINK_POLL_MS) return;
  link_polled_ms = now;
  bool up = hal->eth_link_up(hal->ctx);
  if (up == (netif_is_link_up(&interface) != 0)) return;
  pt_port_log(up ? "net: link up" : "net: link down");
  if (up) {
    netif_set_link_up(&interface);
    if (use_dhcp) (void)dhcp_start(&interface);
  } else {
    netif_set_link_down(&interface);
    /* Another cable may mean another network: begin anew, do not trust the old lease. */
    if (use_dhcp) {
      dhcp_release_and_stop(&interface);
    }
  }
}

static struct pbuf *store(const uint8_t *frame, size_t length) {
  struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)length, PBUF_POOL);
  if (p == NULL && length <= SMALL_FRAME && !spare_used) {
    spare.custom_free_function = free_spare;
    p = pbuf_alloced_custom(PBUF_RAW, (u16_t)length, PBUF_REF, &spare, spare_bytes, sizeof spare_bytes);
    if (p != NULL) spare_used = true;
  }
  if (p != NULL) (void)pbuf_take(p, frame, (u16_t)length);
  return p;
}

static bool receive(void) {
  const struct postern_hal *hal = pt_port_hal();
  size_t length = hal->eth_receive(hal->ctx, (uint8_t *)frame_words, sizeof frame_words);
  if (length == 0) return false;
  struct pbuf *p = store((const uint8_t *)frame_words, length);
  if (p != NULL && interface.input(p, &interface) != ERR_OK) (void)pbuf_free(p);
  return true;
}

bool pt_net_poll(void) {
  bool worked = false;
  poll_link();
  for (unsigned i = 0; i < FRAMES_PER_POLL && receive(); i++) worked = true;
  sys_check_timeouts();
  return worked;
}

bool pt_net_ready(void) {
  return netif_is_link_up(&interface) != 0 && !ip4_addr_isany_val(*netif_ip4_addr(&interface));
}

static void from_ip(uint8_t bytes[4], const ip4_addr_t *ip) {
  bytes[0] = ip4_addr1(ip);
  bytes[1] = ip4_addr2(ip);
  bytes[2] = ip4_addr3(ip);
  bytes[3] = ip4_addr4(ip);
}

void pt_net_addresses(void *unused, struct pt_addresses *addresses) {
  (void)unused;
  memcpy(addresses->mac, interface.hwaddr, POSTERN_MAC_LENGTH);
  from_ip(addresses->ip, netif_ip4_addr(&interface));
  from_ip(addresses->netmask, netif_ip4_netmask(&interface));
  from_ip(addresses->gateway, netif_ip4_gw(&interface));
}

void pt_net_set_mac(void *unused, const uint8_t mac[POSTERN_MAC_LENGTH]) {
  (void)unused;
  memcpy(interface.hwaddr, mac, POSTERN_MAC_LENGTH);
  pt_port_hal()->eth_set_mac(pt_port_hal()->ctx, mac);
  /* Tell the neighbours, so that the session goes on under the new address. */
  (void)etharp_gratuitous(&interface);
}
