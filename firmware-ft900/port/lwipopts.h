/* lwIP for one TLS connection in 64 KB of data RAM. Numbers that are not lwIP's own defaults say why. */
#ifndef POSTERN_LWIPOPTS_H
#define POSTERN_LWIPOPTS_H

#define NO_SYS 1
#define LWIP_TIMERS 1
#define SYS_LIGHTWEIGHT_PROT 0 /* polled: nothing runs beside the main loop */
#define LWIP_IPV4 1
#define LWIP_IPV6 0
#define LWIP_ARP 1
#define LWIP_ETHERNET 1
#define LWIP_ICMP 1
#define LWIP_RAW 0
#define LWIP_UDP 1
#define LWIP_DHCP 1
#define LWIP_DNS 1
#define LWIP_TCP 1
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_NETIF_LINK_CALLBACK 0
#define LWIP_NETIF_HOSTNAME 0
#define LWIP_STATS 0
#ifdef PT_MEASURE /* the size table's run: how full heap and pools were */
#undef LWIP_STATS
#define LWIP_STATS 1
#define LWIP_STATS_DISPLAY 0
#define MEM_STATS 1
#define MEMP_STATS 1
#endif

#ifdef __LP64__
#define MEM_ALIGNMENT 8
#else
#define MEM_ALIGNMENT 4
#endif
/* The heap serves mbedTLS above all; docs/size.md has its measured peak. */
#ifndef MEM_SIZE
#if defined(__LP64__)
#define MEM_SIZE (64 * 1024)
#elif defined(PT_RSA)
#define MEM_SIZE 28000
#else
#define MEM_SIZE 16700
#endif
#endif
#define MEMP_NUM_PBUF 8
#define PBUF_POOL_SIZE 7
#define PBUF_POOL_BUFSIZE 600 /* a segment of TCP_MSS with all of its headers */
#define LWIP_SUPPORT_CUSTOM_PBUF 1
#define TCP_MSS 536
#ifdef PT_RSA
#define TCP_WND (6 * TCP_MSS)
#else
#define TCP_WND (4 * TCP_MSS) /* at least one TLS record of MBEDTLS_SSL_IN_CONTENT_LEN and its 29 bytes around it */
#endif
#define TCP_SND_BUF (4 * TCP_MSS)
#define TCP_SND_QUEUELEN 10
#define MEMP_NUM_TCP_SEG 14
#define MEMP_NUM_TCP_PCB 3 /* one in use, two that still close */
#define MEMP_NUM_TCP_PCB_LISTEN 1
#define MEMP_NUM_UDP_PCB 3
#define MEMP_NUM_ALTCP_PCB 4
#define ARP_TABLE_SIZE 4
#define ARP_QUEUEING 0
#define IP_REASSEMBLY 0
#define IP_FRAG 0
#define TCP_QUEUE_OOSEQ 0 /* a lost segment is sent again with all that follows: RAM is dearer than that */
#define LWIP_TCP_KEEPALIVE 0
#define MEMP_NUM_SYS_TIMEOUT (LWIP_NUM_SYS_TIMEOUT_INTERNAL + 4)
#define LWIP_CHKSUM_ALGORITHM 2
#define DNS_TABLE_SIZE 1
#define DNS_MAX_SERVERS 2

#define LWIP_ALTCP 1
#ifndef PT_NO_TLS /* the MQTT fuzzer */
#define LWIP_ALTCP_TLS 1
#define LWIP_ALTCP_TLS_MBEDTLS 1
#endif
/* MBEDTLS_SSL_MAX_FRAG_LEN_2048: the broker's certificate message, leaf and issuer, has some 1.3 KB, and mbedTLS 2.28
   does not put a handshake message together again that a length of 1,024 would split. */
#define ALTCP_MBEDTLS_MAX_FRAG_LEN 3

/* Holds the largest answer, its topic, and MQTT_ACK_RESERVE. */
#define MQTT_OUTPUT_RINGBUF_SIZE 2304
#define MQTT_VAR_HEADER_BUFFER_LEN 512
#define MQTT_REQ_MAX_IN_FLIGHT 18 /* PT_UNACKED_MAX, SUBSCRIBE, and one to spare */
#define MQTT_CYCLIC_TIMER_INTERVAL 5
#define MQTT_CONNECT_TIMOUT 20
int pt_mqtt_rx_hold(void);
#define MQTT_RX_HOLD(client) pt_mqtt_rx_hold()

#ifdef __FT32__
#define LWIP_NOASSERT 1
#endif
#ifdef __XTENSA__
#define LWIP_NOASSERT 1
#endif

#endif
